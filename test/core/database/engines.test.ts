import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { toSearchTerms } from '../../../core/chat/search-terms.ts';
import type { Database } from '../../../core/database/database.ts';
import { openDatabase } from '../../../core/database/open-database.ts';
import type { StoredTurn } from '../../../core/terms/conversation.ts';
import { type Owner, unowned } from '../../../core/terms/owner.ts';
import { engines } from '../../support/engines.ts';

const at = '2026-11-23T12:00:00.000Z';
const alice: Owner = { service: 'frontend', user: 'alice' };
const bob: Owner = { service: 'frontend', user: 'bob' };

function fileOf(id: string, sha256 = 'a'.repeat(64), name = 'x') {
  const content = { place: `place-of-${id}`, size: 7, sha256 };
  return { id, sessionId: 's', name, mimeType: 'text/plain', content, metadata: {} };
}

function message(role: string, content: string) {
  return { role, content, payload: null, tokens: null, tokenizer: null, context: null };
}

function turnOf(owner: Owner, session: string, text: string, more: Partial<StoredTurn> = {}): StoredTurn {
  return {
    turnId: randomUUID(),
    owner,
    sessionId: session,
    windowId: randomUUID(),
    model: 'm',
    instructions: null,
    input: [message('user', text)],
    title: text,
    startedAt: at,
    idempotency: null,
    replaces: null,
    ...more,
  };
}

/** A core service as far as the database knows of it. */
class Core {
  readonly id = randomUUID();
  readonly #database: Database;
  constructor(database: Database) {
    this.#database = database;
  }
  register() {
    return this.#database.call('cores.register', { coreId: this.id, process: 'p', now: at });
  }
  enter(owner: Owner, sessionId: string, idempotencyKey: string | null = null) {
    return this.#database.call('turns.enter', { owner, sessionId, coreId: this.id, idempotencyKey });
  }
  end(epoch: number, turn: StoredTurn, text: string, state: 'complete' | 'interrupted' = 'complete') {
    const answer = message('assistant', text);
    return this.#database.call('turns.end', { epoch, turn, answer, state, now: at });
  }
  async say(owner: Owner, session: string, text: string, reply = `re ${text}`) {
    const entered = await this.enter(owner, session);
    return this.end(entered!.epoch, turnOf(owner, session, text), reply);
  }
}

const texts = async (database: Database, owner: Owner, session: string) => {
  const page = { owner, session, limit: 1000, from: null, newestFirst: false };
  return (await database.call('chats.messages', page))?.map(({ content }) => content);
};

void t.test('every engine', async (t) => {
  for (const engine of await engines(t)) {
    const open = async (test: Test): Promise<[Database, Core]> => {
      const database = await openDatabase(await engine.create(test));
      test.equal(database.schema.problem, undefined);
      test.teardown(() => database.close());
      const core = new Core(database);
      await core.register();
      return [database, core];
    };
    await t.test(engine.name, (t) => suite(t, open));
  }
});

async function suite(t: Test, open: (t: Test) => Promise<[Database, Core]>): Promise<void> {
  t.test('a read sees every write that was answered before', async (t) => {
    const [database] = await open(t);
    for (let index = 0; index < 20; index++) {
      const id = `f${index}`;
      await database.call('files.add', { owner: unowned, files: [fileOf(id)], by: null, at });
      t.equal((await database.call('files.get', { owner: unowned, fileId: id }))?.id, id);
    }
  });

  t.test('writes that wait together succeed and fail one by one, each as a whole', async (t) => {
    const [database] = await open(t);
    const add = (...ids: string[]) =>
      database.call('files.add', { owner: unowned, files: ids.map((id) => fileOf(id)), by: null, at });
    await add('first');
    const outcomes = await Promise.allSettled([
      add('a'),
      add('x', 'first'),
      add('b'),
      add('first'),
      add('c'),
    ]);
    t.strictSame(
      outcomes.map((outcome) => (outcome.status === 'fulfilled' ? 'done' : outcome.reason.code)),
      ['done', 'constraint', 'done', 'constraint', 'done'],
    );
    const rows = await database.call('files.list', { owner: unowned, words: [], limit: 10 });
    t.strictSame(rows.map(({ id }) => id).sort(), ['a', 'b', 'c', 'first']);
  });

  t.test('turns of a session run one after the other, in the order in which they came', async (t) => {
    const [database, core] = await open(t);
    const first = (await core.enter(alice, 's'))!;
    t.strictSame(first.admitted, { chat: null, earlier: null });
    const second = (await core.enter(alice, 's'))!;
    const third = (await core.enter(alice, 's'))!;
    t.equal(second.admitted, null);
    t.ok((await core.enter(bob, 's'))!.admitted, "another owner's session of the same name does not wait");
    const standing = ({ epoch }: { epoch: number }) =>
      database.call('turns.standing', { epoch, owner: alice, sessionId: 's' });
    t.strictSame([await standing(second), await standing(third)], ['waiting', 'waiting']);
    await core.end(first.epoch, turnOf(alice, 's', 'one'), 'answer');
    t.strictSame(
      [await standing(first), await standing(second), await standing(third)],
      ['lost', 'next', 'waiting'],
    );
    const ticket = { owner: alice, sessionId: 's', coreId: core.id, idempotencyKey: null };
    t.equal(await database.call('turns.admit', { epoch: third.epoch, ticket }), null);
    const admitted = await database.call('turns.admit', { epoch: second.epoch, ticket });
    t.match(admitted, { chat: { lastPosition: 2, lastEpoch: first.epoch } });
    await database.call('turns.leave', { epoch: second.epoch });
    t.equal(await standing(third), 'next');
  });

  t.test('of many that enter at once exactly one runs', async (t) => {
    const [, core] = await open(t);
    const entered = await Promise.all(Array.from({ length: 12 }, () => core.enter(alice, 's')));
    t.equal(entered.filter((each) => each?.admitted !== null).length, 1);
  });

  t.test('a buried core service can write nothing more; what it has noted is kept, once', async (t) => {
    const [database, survivor] = await open(t);
    const dead = new Core(database);
    await dead.register();
    const turn = turnOf(alice, 's', 'a story');
    const { epoch } = (await dead.enter(alice, 's'))!;
    const { epoch: silent } = (await dead.enter(alice, 'other'))!;
    await database.call('turns.note', [{ epoch, turn, number: 1, text: 'Once upon' }]);
    await database.call('turns.note', [
      { epoch: 999_999, turn, number: 1, text: 'an orphan fails nobody' },
      { epoch, turn: null, number: 2, text: ' a time' },
    ]);
    t.strictSame(await database.call('turns.orphans', { limit: 10 }), []);
    t.equal(await database.call('turns.recover', { epoch, now: at }), false, 'it lives');
    const { beat } = (await database.call('cores.list', {})).find(({ coreId }) => coreId === dead.id)!;
    await database.call('cores.beat', { coreId: dead.id });
    t.equal(await database.call('cores.bury', { coreId: dead.id, beat }), false, 'it has beaten since');
    t.equal(await database.call('cores.bury', { coreId: dead.id, beat: beat + 1 }), true);
    t.equal(await database.call('cores.beat', { coreId: dead.id }), false);
    t.equal(await dead.enter(alice, 'new'), null);
    const waiting = (await survivor.enter(alice, 's'))!;
    t.equal(waiting.admitted, null, 'not before what is there is kept');
    t.strictSame(await database.call('turns.orphans', { limit: 10 }), [epoch, silent]);
    const recovered = await Promise.all(
      [epoch, epoch, epoch, silent].map((each) => database.call('turns.recover', { epoch: each, now: at })),
    );
    t.equal(recovered.filter(Boolean).length, 1);
    await t.rejects(dead.end(epoch, turn, 'Once upon a time there was'), { code: 'turn-lost' });
    t.strictSame(await texts(database, alice, 's'), ['a story', 'Once upon a time']);
    t.equal(await texts(database, alice, 'other'), undefined);
    const ticket = { owner: alice, sessionId: 's', coreId: survivor.id, idempotencyKey: null };
    t.match(await database.call('turns.admit', { epoch: waiting.epoch, ticket }), {
      chat: { lastPosition: 2, lastEpoch: epoch },
    });
  });

  t.test(
    'the answer to a retried request takes the place of the interrupted one, whatever came after',
    async (t) => {
      const [database, core] = await open(t);
      const idempotency = { key: 'k', requestHash: 'h' };
      await core.say(alice, 's', 'before');
      const entered = (await core.enter(alice, 's', 'k'))!;
      t.equal(entered.admitted?.earlier, null);
      await core.end(entered.epoch, turnOf(alice, 's', 'question', { idempotency }), 'ans', 'interrupted');
      await core.say(alice, 's', 'after');
      const retry = (await core.enter(alice, 's', 'k'))!;
      const earlier = retry.admitted!.earlier!;
      t.match(earlier, { requestHash: 'h', answer: { state: 'interrupted', position: 4 } });
      const replaces = { turnId: earlier.turnId, answerPosition: earlier.answer.position };
      const end = await core.end(
        retry.epoch,
        turnOf(alice, 's', 'question', { idempotency, replaces }),
        'answered',
      );
      t.equal(end.appended, false);
      t.strictSame(await texts(database, alice, 's'), [
        'before',
        're before',
        'question',
        'answered',
        'after',
        're after',
      ]);
      const again = (await core.enter(alice, 's', 'k'))!;
      t.match(again.admitted, {
        chat: { lastPosition: 6, lastEpoch: retry.epoch },
        earlier: { answer: { state: 'complete', content: 'answered' } },
      });
      const found = await database.call('chats.search', {
        owner: alice,
        terms: toSearchTerms('answered'),
        session: null,
        before: null,
        limit: 10,
      });
      t.strictSame(
        found.map(({ position }) => position),
        [4],
      );
    },
  );

  t.test('sessions belong to their owner, under the same name too', async (t) => {
    const [database, core] = await open(t);
    const owners = [
      alice,
      bob,
      { service: 'frontend', user: '' },
      { service: 'other', user: 'alice' },
      unowned,
    ];
    for (const owner of owners)
      await core.say(owner, 's', `of ${owner.service}/${owner.user}`, 'common word');
    for (const owner of owners) {
      t.equal((await texts(database, owner, 's'))?.[0], `of ${owner.service}/${owner.user}`);
      t.equal((await database.call('chats.list', { owner, limit: 10, before: null })).length, 1);
      const search = { owner, terms: toSearchTerms('common'), session: null, before: null, limit: 10 };
      t.equal((await database.call('chats.search', search)).length, 1);
    }
    const named = { owner: bob, session: 's' };
    t.match(await database.call('chats.rename', { ...named, title: 'new', now: at }), { title: 'new' });
    t.ok(await database.call('chats.delete', { ...named, now: at }));
    t.equal(await database.call('chats.get', named), undefined);
    t.equal((await database.call('chats.get', { owner: alice, session: 's' }))?.title, 'of frontend/alice');
    while (await database.call('chats.purge', { limit: 1 }));
    t.equal((await texts(database, alice, 's'))?.length, 2);
    t.equal(await database.call('chats.claim', { owner: alice, session: 's' }), 'exists');
    t.match(await database.call('chats.claim', { owner: bob, session: 's' }), { id: 's' });
    t.strictSame(await texts(database, bob, 's'), ['of /', 'common word']);
    t.equal(await database.call('chats.claim', { owner: bob, session: 'none' }), undefined);
  });

  t.test('files belong to their owner, and share equal contents', async (t) => {
    const [database] = await open(t);
    const add = (owner: Owner, id: string) =>
      database.call('files.add', { owner, files: [fileOf(id)], by: null, at });
    const [first] = await add(alice, 'a');
    const [second] = await add(bob, 'b');
    t.equal(first?.place, 'place-of-a');
    t.equal(second?.place, 'place-of-a', 'the content that was there before');
    t.equal(await database.call('files.get', { owner: bob, fileId: 'a' }), undefined);
    const access = { by: null, at, fileId: 'a', removeAt: at };
    t.equal(await database.call('files.delete', { ...access, owner: bob }), false);
    t.equal(await database.call('files.delete', { ...access, owner: alice }), true);
    t.strictSame(await database.call('files.clean', { now: at, limit: 10 }), ['a'.repeat(64)]);
    t.strictSame(
      await database.call('contents.drop', { hashes: ['a'.repeat(64)] }),
      [],
      'the other needs it',
    );
    await database.call('files.delete', { ...access, owner: bob, fileId: 'b' });
    t.strictSame(await database.call('files.clean', { now: at, limit: 10 }), ['a'.repeat(64)]);
    t.strictSame(await database.call('contents.drop', { hashes: ['a'.repeat(64)] }), ['place-of-a']);
    t.equal(await database.call('files.restore', { owner: alice, by: null, at, fileId: 'a' }), undefined);
  });

  t.test('files are listed the newest first, and found by words of their names and metadata', async (t) => {
    const [database] = await open(t);
    const names = ['Straße nach Süden.txt', 'ÜBERSICHT.pdf', '報告.txt', 'notes'];
    for (const [index, name] of names.entries()) {
      const file = { ...fileOf(`f${index}`, 'b'.repeat(64), name), metadata: { author: `Éva ${index}` } };
      await database.call('files.add', {
        owner: alice,
        files: [file],
        by: null,
        at: `2026-01-0${index + 1}`,
      });
    }
    const find = async (...words: string[]) =>
      (await database.call('files.list', { owner: alice, words, limit: 10 })).map(({ id }) => id);
    t.strictSame(await find(), ['f3', 'f2', 'f1', 'f0']);
    t.strictSame(await find('übersicht'), ['f1']);
    t.strictSame(await find('süden', 'éva'), ['f0']);
    t.strictSame(await find('報'), ['f2']);
    t.strictSame(await find("'; --"), []);
    const after = { uploadedAt: '2026-01-03', id: 'f2' };
    const rest = await database.call('files.list', { owner: alice, words: [], after, limit: 10 });
    t.strictSame(
      rest.map(({ id }) => id),
      ['f1', 'f0'],
    );
  });

  t.test('search finds words of every script, phrases, and the beginning of the last word', async (t) => {
    const [database, core] = await open(t);
    const said = [
      'The quick brown fox: crème brûlée!',
      '我喜欢在北京学习机器学习',
      '私は東京都に住んでいます',
      'ฉันรักภาษาไทย',
      'Ο ΣΟΦΟΣ 42 x86_64',
    ];
    for (const text of said) await core.say(alice, 's', text, 'ok');
    const find = async (text: string) => {
      const search = { owner: alice, terms: toSearchTerms(text), session: 's', before: null, limit: 10 };
      return (await database.call('chats.search', search)).map(({ excerpt }) => excerpt);
    };
    t.match(await find('QUICK creme'), ['The [quick] brown fox: [crème] brûlée!']);
    t.equal((await find('"brown fox"')).length, 1);
    t.equal((await find('"fox brown"')).length, 0);
    t.match(await find('北京'), [/\[北京\]/]);
    t.equal((await find('机器学习')).length, 1);
    t.equal((await find('大学')).length, 0);
    t.equal((await find('東京')).length, 1);
    t.equal((await find('ภาษา')).length, 1);
    t.equal((await find('bro')).length, 1, 'a beginning');
    t.equal((await find('"bro"')).length, 0, 'not in quotes');
    t.equal((await find('x86')).length, 1);
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'grapheme', minLength: 1 }), async (text) => {
        if (toSearchTerms(text).length > 0) await find(text);
      }),
      { numRuns: 100 },
    );
  });

  t.test('a very long message with any characters is stored and found by its beginning', async (t) => {
    const [database, core] = await open(t);
    const words = Array.from({ length: 60_000 }, (_, index) => `wörd${index}`).join(' ');
    await core.say(alice, 's', `first ${words} \u{1f600}`, `'quoted' \\ "text" & | ! :* <->`);
    const search = {
      owner: alice,
      terms: toSearchTerms('first word17'),
      session: 's',
      before: null,
      limit: 10,
    };
    t.equal((await database.call('chats.search', search)).length, 1);
  });
}
