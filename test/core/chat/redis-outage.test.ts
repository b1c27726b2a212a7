import { Redis } from 'ioredis';
import t, { type Test } from 'tap';
import { startTestCore, type TestCore } from '../../support/core-service.ts';
import { lastText } from '../../support/model-server.ts';
import { type RedisServer, startRedis } from '../../support/redis-server.ts';

/** Says something and returns what the model was told of the past. */
async function sayAndListen(core: TestCore, text: string, session = 's'): Promise<unknown[]> {
  const response = await core.say(session, text);
  if (response.status !== 200) throw new Error(await response.text());
  const call = core.model.calls.at(-1)!;
  if (lastText(call) !== text) throw new Error('another call');
  return call.body.messages.slice(0, -1).map(({ content }) => content);
}

async function redisOf(t: Test, server: RedisServer): Promise<Redis> {
  const redis = new Redis({ port: server.port, host: '127.0.0.1' });
  t.teardown(() => redis.disconnect());
  return redis;
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (const deadline = performance.now() + 15_000; !(await condition()); ) {
    if (performance.now() > deadline) throw new Error('it never came');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const redisIs = (core: TestCore, status: string) => async () => {
  const health = (await (await core.fetch('/health')).json()) as { parts: { redis: { status: string } } };
  return health.parts.redis.status === status;
};

const damages: readonly (readonly [string, (redis: Redis, key: string) => Promise<unknown>])[] = [
  ['is gone', (redis, key) => redis.del(key)],
  ['has lost its end', (redis, key) => redis.rpop(key)],
  ['has lost its beginning', (redis, key) => redis.lpop(key)],
  [
    'has a gap',
    async (redis, key) => {
      await redis.lset(key, 2, 'gap');
      await redis.lrem(key, 1, 'gap');
    },
  ],
  ['has something twice', async (redis, key) => redis.rpush(key, (await redis.lindex(key, -1)) ?? '')],
  ['holds nonsense', (redis, key) => redis.lset(key, -1, '{"position":')],
  ['is not a list', (redis, key) => redis.set(key, 'text')],
];

const exchanged = (...texts: string[]) => texts.flatMap((text) => [text, `You said: ${text}`]);

for (const [title, take, giveBack] of [
  ['killed', (server: RedisServer) => server.end('SIGKILL'), (server: RedisServer) => server.start()],
  [
    'hanging',
    async (server: RedisServer) => server.signal('SIGSTOP'),
    async (server: RedisServer) => server.signal('SIGCONT'),
  ],
] as const) {
  t.test(
    `Redis ${title}: chat goes on with all it knows, and no stale window is used afterwards`,
    async (t) => {
      const server = await startRedis(t);
      const core = await startTestCore(t, { redis: `redis://127.0.0.1:${server.port}` });
      await sayAndListen(core, 'one');
      t.strictSame(await sayAndListen(core, 'two'), exchanged('one'));
      await take(server);
      t.strictSame(await sayAndListen(core, 'three'), exchanged('one', 'two'));
      t.strictSame(await sayAndListen(core, 'four'), exchanged('one', 'two', 'three'));
      await until(redisIs(core, 'degraded'));
      await giveBack(server);
      await until(redisIs(core, 'ok'));
      // A hanging server has kept a window that has missed two turns.
      t.strictSame(await sayAndListen(core, 'five'), exchanged('one', 'two', 'three', 'four'));
      t.strictSame(await sayAndListen(core, 'six'), exchanged('one', 'two', 'three', 'four', 'five'));
      const redis = await redisOf(t, server);
      const [key = ''] = await redis.keys('chat:*:window');
      t.equal(await redis.llen(key), 12, 'the window is whole again');
    },
  );
}

t.test(
  'the window is a capped list with a time to live, and a turn reads it instead of SQLite',
  async (t) => {
    const server = await startRedis(t);
    const core = await startTestCore(t, { redis: `redis://127.0.0.1:${server.port}` });
    const redis = await redisOf(t, server);
    for (let turn = 0; turn < 35; turn++) await core.say('s', `${turn}`);
    const [key = ''] = await redis.keys('chat:*:window');
    t.equal(await redis.llen(key), 60, 'the largest retrieval limit of llm_models.yaml');
    const ttl = await redis.ttl(key);
    t.ok(ttl > 86_000 && ttl <= 86_400);
    await redis.config('RESETSTAT');
    await sayAndListen(core, 'once more');
    const stats = await redis.info('commandstats');
    t.match(stats, /cmdstat_lrange:calls=1,/);
    t.notMatch(stats, 'cmdstat_del', 'nothing was rebuilt');
  },
);

t.test('a window that is not what SQLite says is made anew', async (t) => {
  const server = await startRedis(t);
  const core = await startTestCore(t, { redis: `redis://127.0.0.1:${server.port}` });
  const redis = await redisOf(t, server);
  for (const [index, [title, tamper]] of damages.entries()) {
    const session = `s${index}`;
    const known = new Set(await redis.keys('chat:*:window'));
    for (const text of ['one', 'two', 'three']) await core.say(session, text);
    const key = (await redis.keys('chat:*:window')).find((found) => !known.has(found)) ?? '';
    await tamper(redis, key);
    t.strictSame(await sayAndListen(core, 'four', session), exchanged('one', 'two', 'three'), title);
    if (title !== 'is not a list') t.equal(await redis.llen(key), 8, title);
    const all = exchanged('one', 'two', 'three', 'four');
    t.strictSame(await sayAndListen(core, 'five', session), all, title);
  }
});
