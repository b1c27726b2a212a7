import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type FleetCore, startFleetCore, until } from '../../support/core-fleet.ts';
import { answerWith, lastText, ModelServer } from '../../support/model-server.ts';
import { PostgresServer } from '../../support/postgres-server.ts';
import { startRedis } from '../../support/redis-server.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const takeOverWithinMs = 10_000;
/** What the machine of the test may add to what is promised. */
const slackMs = 20_000;

interface Fleet {
  readonly cores: readonly FleetCore[];
  readonly model: ModelServer;
  /** Starts one more. */
  add(): Promise<FleetCore>;
}

async function fleet(t: Test, storage: string, size: number): Promise<Fleet> {
  const model = new ModelServer();
  const { port } = await model.listen();
  const redis = await startRedis(t);
  const add = () => startFleetCore(t, { storage, outboundPort: port, redisPort: redis.port });
  const cores = await Promise.all(Array.from({ length: size }, add));
  t.teardown(() => model.close());
  return { cores, model, add };
}

void t.test('several core services on one database', async (t) => {
  const server = await PostgresServer.start(t);
  let databases = 0;
  const storages = {
    sqlite: async (t: Test) => {
      const folder = await tempFolder(t);
      return `sqlite: ${join(folder, 'core.db')}\nfiles: ${join(folder, 'files')}`;
    },
    postgres: async () => {
      const name = `several_${++databases}`;
      await server.createDatabase(name);
      return `postgres: { url: "${server.url(name)}" }`;
    },
  };
  for (const [engine, storage] of Object.entries(storages)) {
    await t.test(engine, (t) => suite(t, storage));
  }
});

async function suite(t: Test, storage: (t: Test) => Promise<string>): Promise<void> {
  await t.test('turns', async (t) => {
    const { cores, model } = await fleet(t, await storage(t), 3);
    await t.test('of one session run one after the other, whichever core takes them', async (t) => {
      let running = 0;
      let most = 0;
      model.behaviour = (call) => {
        most = Math.max(most, ++running);
        setTimeout(() => {
          running--;
          answerWith(call, `re ${lastText(call)}`);
        }, 20);
      };
      const asked = Array.from({ length: 12 }, (_, index) => `question ${index}`);
      const answers = await Promise.all(
        asked.map((text, index) => cores[index % cores.length]!.say('shared', text)),
      );
      t.strictSame(
        answers.map(({ status }) => status),
        asked.map(() => 200),
      );
      t.equal(most, 1, 'never two at a time');
      const messages = await cores[0]!.messages('shared');
      t.equal(messages.length, 24);
      for (let index = 0; index < messages.length; index += 2) {
        t.equal(messages[index + 1]!.content, `re ${messages[index]!.content}`);
      }
      const prompted = model.calls.map((call) => call.body.messages.length);
      t.strictSame(
        prompted,
        prompted.toSorted((a, b) => a - b),
        'each knows what was said before',
      );
    });

    await t.test('with one Idempotency-Key run once anywhere', async (t) => {
      const before = model.calls.length;
      model.behaviour = (call) => void setTimeout(() => answerWith(call, 'the answer'), 30);
      const key = { 'idempotency-key': 'once' };
      const answers = await Promise.all(cores.map((core) => core.say('once', 'question', key)));
      for (const answer of answers) t.match(await answer.text(), /the answer/);
      t.equal(model.calls.length, before + 1);
      t.equal((await cores[1]!.messages('once')).length, 2);
    });

    await t.test('of different sessions run side by side', async (t) => {
      model.behaviour = (call) => void setTimeout(() => answerWith(call, 'ok'), 10);
      const all = await Promise.all(
        Array.from({ length: 30 }, (_, index) => cores[index % 3]!.say(`s${index}`, 'hi')),
      );
      t.ok(all.every(({ status }) => status === 200));
    });
  });

  await t.test('a core killed in mid-turn is replaced, and its half answer kept, once', async (t) => {
    const { cores, model } = await fleet(t, await storage(t), 2);
    const [first, second] = cores as [FleetCore, FleetCore];
    model.behaviour = (call) => call.chunk({ content: 'Once upon a time' });
    const reader = (await first.stream('s', 'a story')).body!.getReader();
    await reader.read();
    // What was said is noted a fifth of a second later.
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const killedAt = performance.now();
    await first.end('SIGKILL');
    await reader.read().catch(() => undefined);
    model.behaviour = (call) => answerWith(call, 'there was a proxy');
    t.equal((await second.say('s', 'go on')).status, 200);
    const took = performance.now() - killedAt;
    t.ok(took < takeOverWithinMs + slackMs, `after ${Math.round(took)} ms`);
    t.match(await second.messages('s'), [
      { content: 'a story' },
      { content: 'Once upon a time', state: 'interrupted' },
      { content: 'go on' },
      { content: 'there was a proxy', state: 'complete' },
    ]);
    t.equal((await second.messages('s')).length, 4);
  });

  await t.test('a core that hangs loses its session, and can change nothing when it goes on', async (t) => {
    const { cores, model } = await fleet(t, await storage(t), 2);
    const [first, second] = cores as [FleetCore, FleetCore];
    const calling = model.nextCall();
    model.behaviour = (call) => call.chunk({ content: 'half' });
    const held = await first.stream('s', 'a story');
    const call = await calling;
    const reader = held.body!.getReader();
    await reader.read();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    first.child.kill('SIGSTOP');
    model.behaviour = (next) => answerWith(next, 'from the second');
    t.equal((await second.say('s', 'go on')).status, 200);
    first.child.kill('SIGCONT');
    call.chunk({ content: ' and the rest' });
    call.finish();
    let text = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      text += new TextDecoder().decode(value);
    }
    t.match(text, /"code":"session_taken_over"/);
    t.notMatch(text, /\[DONE\]/);
    const expected = ['a story', 'half', 'go on', 'from the second'];
    const contents = async () => (await second.messages('s')).map(({ content }) => content);
    t.strictSame(await contents(), expected);
    model.behaviour = (next) => answerWith(next, 'welcome back');
    await until(async () => (await first.say('s', 'again')).status === 200);
    t.strictSame(await contents(), [...expected, 'again', 'welcome back']);
  });

  await t.test('a core that starts and ends beside a streaming answer damages nothing', async (t) => {
    const { cores, model, add } = await fleet(t, await storage(t), 1);
    const [first] = cores as [FleetCore];
    const calling = model.nextCall();
    model.behaviour = (call) => call.chunk({ content: 'half' });
    const held = await first.stream('s', 'a story');
    const call = await calling;
    await (await add()).end('SIGTERM');
    await (await add()).end('SIGKILL');
    call.chunk({ content: ' and half' });
    call.finish();
    t.match(await held.text(), /\[DONE\]/);
    const contents = (await first.messages('s')).map(({ content }) => content);
    t.strictSame(contents, ['a story', 'half and half']);
  });
}
