import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type Asked, answerTo, askUntilAnswered, faultsOf, type Said } from '../../support/chat-history.ts';
import { type FleetCore, startFleetCore } from '../../support/core-fleet.ts';
import { answerWith, lastText, ModelServer } from '../../support/model-server.ts';
import { PostgresServer } from '../../support/postgres-server.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const sessions = ['a', 'b', 'c'];
const clientsOfEach = 2;
const turnsOfEach = 12;
const kills = 4;

/** Two cores on one database; now and then one is killed and another one started, while clients ask and retry. */
async function makeHistory(t: Test, storage: string): Promise<{ history: Asked[]; core: FleetCore }> {
  const model = new ModelServer();
  const { port } = await model.listen();
  t.teardown(() => model.close());
  let calls = 0;
  // Some answers take longer, so that kills hit every part of a turn.
  model.behaviour = (call) =>
    void setTimeout(() => answerWith(call, answerTo(lastText(call))), (calls++ % 5) * 8);
  const start = () => startFleetCore(t, { storage, outboundPort: port });
  const cores = await Promise.all([start(), start()]);
  let asks = 0;
  const next = () => cores[asks++ % cores.length] as FleetCore;
  const history: Asked[] = [];
  let killing: Promise<void> = Promise.resolve();
  const total = sessions.length * clientsOfEach * turnsOfEach;
  const clients = sessions.flatMap((session) =>
    Array.from({ length: clientsOfEach }, async (_, client) => {
      for (let turn = 0; turn < turnsOfEach; turn++) {
        const asked = await askUntilAnswered(session, `${session}.${client}.${turn}`, next, () => false);
        history.push(asked);
        // By the progress of the clients, not by time.
        if (history.length % Math.floor(total / (kills + 1)) === 0)
          killing = killing.then(async () => {
            const index = history.length % cores.length;
            await cores[index]?.end('SIGKILL');
            cores[index] = await start();
          });
      }
    }),
  );
  await Promise.all(clients);
  await killing;
  return { history, core: cores[0] as FleetCore };
}

async function transcriptsOf(core: FleetCore): Promise<Map<string, Said[]>> {
  const transcripts = new Map<string, Said[]>();
  for (const session of sessions)
    transcripts.set(session, (await core.messages(session)) as unknown as Said[]);
  return transcripts;
}

t.test('histories under kills and retries: none lost, none doubled, in order', async (t) => {
  const server = await PostgresServer.start(t);
  await server.createDatabase('histories');
  const folder = await tempFolder(t);
  for (const [engine, storage] of [
    ['sqlite', `sqlite: ${join(folder, 'core.db')}\nfiles: ${join(folder, 'files')}`],
    ['postgres', `postgres: { url: "${server.url('histories')}" }`],
  ] as const)
    await t.test(engine, { timeout: 240_000 }, async (t) => {
      const { history, core } = await makeHistory(t, storage);
      t.equal(history.length, sessions.length * clientsOfEach * turnsOfEach);
      t.strictSame(faultsOf(history, await transcriptsOf(core)), []);
    });
});

t.test('the check sees what a store can do wrong', async (t) => {
  const said = (...texts: string[]): Said[] =>
    texts.flatMap((text, turn) => [
      { position: 2 * turn + 1, role: 'user', content: text, state: 'complete' },
      { position: 2 * turn + 2, role: 'assistant', content: answerTo(text), state: 'complete' },
    ]);
  const asked = (text: string, askedAt: number, at: number): Asked => ({
    session: 'a',
    text,
    askedAt,
    answered: { at, text: answerTo(text) },
  });
  const history = [asked('one', 0, 1), asked('two', 2, 3), asked('three', 2, 4)];
  const faults = (transcript: Said[], of = history) => faultsOf(of, new Map([['a', transcript]]));
  t.strictSame(faults(said('one', 'two', 'three')), []);
  t.strictSame(faults(said('one', 'three', 'two')), [], 'what was asked at once has no order');
  t.match(faults(said('one', 'two')), ['a: "three" was answered and is lost']);
  t.match(faults(said('one', 'two', 'two', 'three')), ['a: "two" stands there twice']);
  t.match(faults(said('two', 'one', 'three')), [
    /"two" was asked after "one" was answered, and stands before it/,
  ]);
  t.match(faults(said('one', 'two', 'three', 'four')), ['a: nobody said "four"']);
  t.match(
    faults(
      said('one', 'two', 'three').with(1, {
        position: 2,
        role: 'assistant',
        content: 'x',
        state: 'complete',
      }),
    ),
    [/"one" was answered with "answer to one", behind it is/],
  );
  t.match(
    faults(
      said('one', 'two', 'three').with(3, {
        position: 4,
        role: 'assistant',
        content: answerTo('two'),
        state: 'interrupted',
      }),
    ),
    [/"two" was answered with/],
  );
  t.match(faults(said('one', 'two', 'three').toSpliced(0, 1)), [/position 2 stands at 1/]);
  t.match(faults(said('one'), [{ ...asked('one', 0, 1), answered: { at: 1, text: 'x' } }]), [
    /./,
    'a: "one" got "x"',
  ]);
  t.strictSame(
    faults(said(), [{ ...asked('one', 0, 1), answered: undefined }]),
    [],
    'who gave up may be lost',
  );
  t.match(faultsOf(history, new Map()), [/the session is lost/]);
});
