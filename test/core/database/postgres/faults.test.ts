import { Client } from 'pg';
import t from 'tap';
import { until } from '../../../support/core-fleet.ts';
import { startTestCore, type TestCore } from '../../../support/core-service.ts';
import { PostgresServer } from '../../../support/postgres-server.ts';

const timeouts = { database: 2000 };

/** Status, or the code of the error. */
async function say(core: TestCore, session: string, text: string): Promise<number | string> {
  const response = await core.say(session, text);
  const { error } = (await response.json()) as { error?: { code: string } };
  return error?.code ?? response.status;
}

async function questions(core: TestCore, session: string): Promise<string[]> {
  const response = await core.fetch(`/api/chats/${session}/messages?limit=200`);
  const { messages = [] } = (await response.json()) as { messages?: { role: string; content: string }[] };
  return messages.filter(({ role }) => role === 'user').map(({ content }) => content);
}

const databaseIs = (core: TestCore, status: string) => async () => {
  const health = (await (await core.fetch('/health')).json()) as { parts: { database: { status: string } } };
  return health.parts.database.status === status;
};

t.test('a server that is killed or hangs: clear 503s, and all goes on once it is back', async (t) => {
  const server = await PostgresServer.start(t);
  const core = await startTestCore(t, { postgres: server.url(), timeouts });
  t.equal(await say(core, 's', 'before'), 200);

  await server.kill('SIGKILL');
  t.equal(await say(core, 's', 'while it is down'), 'storage_unavailable');
  await until(databaseIs(core, 'degraded'));
  await server.run();
  await until(async () => (await say(core, 's', 'after the crash')) === 200);
  await until(databaseIs(core, 'ok'));

  await server.signal('SIGSTOP');
  const refused = await say(core, 's', 'while it hangs');
  t.match(refused, /^storage_(unavailable|busy)$/);
  await until(databaseIs(core, 'degraded'));
  await server.signal('SIGCONT');
  await until(async () => (await say(core, 's', 'after the hang')) === 200);

  const kept = await questions(core, 's');
  for (const text of ['before', 'after the crash', 'after the hang']) {
    t.equal(kept.filter((each) => each === text).length, 1, text);
  }
});

t.test('a pool that is exhausted refuses with 503 and serves again', async (t) => {
  const server = await PostgresServer.start(t);
  const core = await startTestCore(t, { postgres: server.url(), postgresPool: 2, timeouts });
  t.equal(await say(core, 's', 'before'), 200);
  const blocker = new Client({ connectionString: server.url() });
  await blocker.connect();
  await blocker.query('BEGIN; LOCK TABLE chats IN ACCESS EXCLUSIVE MODE');
  const refused = await Promise.all(Array.from({ length: 8 }, (_, index) => say(core, `s${index}`, 'hi')));
  for (const each of refused) t.equal(each, 'storage_busy');
  await blocker.query('ROLLBACK');
  await blocker.end();
  await until(async () => (await say(core, 's', 'after')) === 200);
  t.strictSame(new Set(await questions(core, 's')), new Set(['before', 'after']));
});

t.test('a fail-over to a synchronous replica loses nothing that was acknowledged', async (t) => {
  const primary = await PostgresServer.start(t, { max_wal_senders: '4', wal_level: 'replica' });
  const replica = await PostgresServer.replicate(t, primary, 'standby');
  await primary.query("ALTER SYSTEM SET synchronous_standby_names = 'standby'");
  await primary.query('SELECT pg_reload_conf()');
  await until(async () => {
    const [state] = await primary.query<{ sync_state: string }>('SELECT sync_state FROM pg_stat_replication');
    return state?.sync_state === 'sync';
  });
  // The replica comes first: a core finds out who takes writes.
  const core = await startTestCore(t, { postgres: replica.url('postgres', primary), timeouts });
  const acknowledged: string[] = [];
  let stop = false;
  const clients = ['a', 'b', 'c'].map(async (session) => {
    for (let turn = 0; !stop; turn++) {
      const text = `${session}${turn}`;
      if ((await say(core, session, text)) === 200) acknowledged.push(text);
    }
  });
  await until(async () => acknowledged.length >= 15);
  await primary.kill('SIGKILL');
  await replica.promote();
  const before = acknowledged.length;
  await until(async () => acknowledged.length >= before + 15);
  stop = true;
  await Promise.all(clients);
  const kept = (await Promise.all(['a', 'b', 'c'].map((session) => questions(core, session)))).flat();
  t.strictSame(
    acknowledged.filter((text) => kept.filter((each) => each === text).length !== 1),
    [],
    'each of them is there, once',
  );
});
