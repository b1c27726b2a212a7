import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import t from 'tap';
import { openDatabase } from '../../../core/database/open-database.ts';
import { memberStore } from '../../../core/store/member-store.ts';
import { type TurnTicket, turnStore } from '../../../core/store/turn-store.ts';
import type { NewMessage, StoredTurn } from '../../../core/terms/conversation.ts';
import { sqliteOptions } from '../../support/sqlite-options.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const owner = { service: 'frontend', user: '' };
const now = '2026-11-23T12:00:00.000Z';

type Step =
  | { readonly do: 'enter'; readonly core: number; readonly session: number }
  | { readonly do: 'admit' | 'note' | 'end' | 'leave'; readonly turn: number }
  | { readonly do: 'bury'; readonly core: number }
  | { readonly do: 'replace'; readonly core: number }
  | { readonly do: 'recover' };

const core = fc.nat(2);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('enter' as const), core, session: fc.nat(1) }) },
  {
    weight: 9,
    arbitrary: fc.record({ do: fc.constantFrom('admit', 'note', 'end', 'end', 'leave'), turn: fc.nat(30) }),
  },
  {
    weight: 1,
    arbitrary: fc.oneof(
      fc.record({ do: fc.constant('bury' as const), core }),
      fc.record({ do: fc.constant('replace' as const), core }),
    ),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('recover' as const) }) },
);

/** A turn, as the model knows it. */
interface Turn {
  readonly epoch: number;
  readonly coreId: string;
  readonly session: string;
  readonly text: string;
  said: string;
}

t.test('lines, fences and take-overs are those of a model of lists', { timeout: 300_000 }, async (t) => {
  const file = join(await tempFolder(t), 'core.db');
  const database = await openDatabase(sqliteOptions(file));
  t.teardown(() => database.close());
  const turns = turnStore(database);
  const members = memberStore(database);
  const rows = new DatabaseSync(file, { readOnly: true });
  t.teardown(() => rows.close());
  const stored = rows.prepare(
    `select role, content, state from messages join chats using (chat_id) where session_id = ? order by position`,
  );
  let runs = 0;

  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async (steps) => {
      const run = ++runs;
      const alive = new Set<string>();
      const cores: string[] = [];
      const register = async (index: number) => {
        const id = randomUUID();
        cores[index] = id;
        alive.add(id);
        await members.register(id, 'p');
      };
      for (const index of [0, 1, 2]) await register(index);
      const everEntered: Turn[] = [];
      let line: Turn[] = [];
      const transcripts = new Map<string, string[]>();
      const isFirst = (turn: Turn) => line.find(({ session }) => session === turn.session) === turn;
      const say = (turn: Turn, answer: string, state: string) => {
        const lines = transcripts.get(turn.session) ?? [];
        lines.push(`user ${turn.text} complete`, `assistant ${answer} ${state}`);
        transcripts.set(turn.session, lines);
      };
      const bury = async (id: string) => {
        const beat = (await members.list()).find(({ coreId }) => coreId === id);
        equal(beat !== undefined, alive.has(id), 'who is listed');
        if (beat !== undefined) equal(await members.bury(beat), true, 'a burial');
        alive.delete(id);
        equal(await members.beat(id), false, 'a beat of the buried');
      };
      const recover = async () => {
        const orphans = line.filter(({ coreId }) => !alive.has(coreId));
        equal((await turns.orphans(100)).join(), orphans.map(({ epoch }) => epoch).join(), 'orphans');
        for (const orphan of orphans) {
          equal(await turns.recover(orphan.epoch), orphan.said !== '', 'whether something was kept');
          line = line.filter((each) => each !== orphan);
          if (orphan.said !== '') say(orphan, orphan.said, 'interrupted');
        }
        for (const { epoch } of line)
          equal(await turns.recover(epoch), false, 'nobody takes a turn of the living');
      };

      for (const each of steps) {
        if (each.do === 'enter') {
          const coreId = cores[each.core] as string;
          const session = `${run}-${each.session}`;
          const entered = await turns.enter(ticketOf(coreId, session));
          equal(entered !== null, alive.has(coreId), 'entering');
          if (entered === null) continue;
          const turn = { epoch: entered.epoch, coreId, session, text: `question ${entered.epoch}`, said: '' };
          equal(turn.epoch > (everEntered.at(-1)?.epoch ?? 0), true, 'epochs grow');
          everEntered.push(turn);
          line.push(turn);
          equal(entered.admitted !== null, isFirst(turn), 'admitted at once');
        } else if (each.do === 'bury') await bury(cores[each.core] as string);
        else if (each.do === 'replace') {
          if (alive.has(cores[each.core] as string)) await bury(cores[each.core] as string);
          await register(each.core);
        } else if (each.do === 'recover') await recover();
        else {
          const turn = everEntered[each.turn % Math.max(1, everEntered.length)];
          if (turn === undefined) continue;
          const inLine = line.includes(turn);
          const ticket = ticketOf(turn.coreId, turn.session);
          const standing = !inLine ? 'lost' : isFirst(turn) ? 'next' : 'waiting';
          equal(await turns.standing(turn.epoch, ticket), standing, 'standing');
          if (each.do === 'admit')
            equal((await turns.admit(turn.epoch, ticket)) !== null, standing === 'next', 'admitted');
          else if (each.do === 'leave') {
            await turns.leave(turn.epoch);
            line = line.filter((other) => other !== turn);
          } else if (standing === 'waiting') {
            // A core service writes only for turns that were admitted.
          } else if (each.do === 'note') {
            const stored = turn.said === '' ? turnOf(turn) : null;
            const number = turn.said.length + 1;
            // Later notes sort before earlier ones as texts.
            const text = String.fromCharCode(0x7a - (number % 20));
            await turns.note([{ epoch: turn.epoch, turn: stored, number, text }]);
            if (inLine) turn.said += text;
          } else {
            const ending = turns.end({
              epoch: turn.epoch,
              turn: turnOf(turn),
              answer: answerOf('done'),
              state: 'complete',
              now,
            });
            const outcome = await ending.then(
              () => 'stored',
              (error: { code?: string }) => error.code,
            );
            equal(outcome, inLine ? 'stored' : 'turn-lost', 'the end of a turn');
            line = line.filter((other) => other !== turn);
            if (inLine) say(turn, 'done', 'complete');
          }
        }
      }
      for (const id of alive) await bury(id);
      await recover();
      for (const session of [`${run}-0`, `${run}-1`]) {
        const told = stored.all(session).map(({ role, content, state }) => `${role} ${content} ${state}`);
        equal(told.join('\n'), (transcripts.get(session) ?? []).join('\n'), `the transcript of ${session}`);
      }
    }),
    { numRuns: 60 },
  );
  t.equal(runs >= 60, true, `${runs} histories`);
});

const ticketOf = (coreId: string, sessionId: string): TurnTicket => ({
  owner,
  sessionId,
  coreId,
  idempotencyKey: null,
});

const answerOf = (content: string): NewMessage => ({
  role: 'assistant',
  content,
  payload: null,
  tokens: null,
  tokenizer: null,
  context: null,
});

function turnOf({ session, text }: Turn): StoredTurn {
  return {
    turnId: randomUUID(),
    owner,
    sessionId: session,
    windowId: randomUUID(),
    model: 'm',
    instructions: null,
    input: [{ ...answerOf(text), role: 'user' }],
    title: text,
    startedAt: now,
    idempotency: null,
    replaces: null,
  };
}

function equal(found: unknown, expected: unknown, what: string): void {
  if (found !== expected) throw new Error(`${what}: found ${found}, expected ${expected}`);
}
