import { writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import t, { type Test } from 'tap';
import type { RedisConfig } from '../../../core/config/core-config.ts';
import { parseRedisUrl } from '../../../core/config/redis-url.ts';
import { RedisPool } from '../../../core/redis/redis-pool.ts';
import type { BreakerState } from '../../../core/redis/statistics.ts';
import { startRedis } from '../../support/redis-server.ts';
import { tempFolder } from '../../support/temp-folder.ts';

/** What docs/core.md says the ACL user needs. */
const documentedCommands = '+lrange +rpush +ltrim +expire +del +multi +exec +ping +client +set'.split(' ');

const silent = pino({ enabled: false });

async function openPool(t: Test, url: string, more: Partial<RedisConfig> = {}) {
  const registry = new Registry();
  const config: RedisConfig = { url: parseRedisUrl(url), databases: { chat: 0 }, pool: 2, ...more };
  const states: unknown[] = [];
  const log = pino({}, { write: (line: string) => void states.push(JSON.parse(line).breaker) });
  const pool = await RedisPool.open(config, 100, 5000, registry, log);
  t.teardown(() => pool.close());
  return {
    pool,
    registry,
    get states() {
      return states.filter((state) => state !== undefined);
    },
  };
}

const set = (pool: RedisPool, value: string) => pool.run('chat', 'set', (client) => client.set('key', value));
const get = (pool: RedisPool) => pool.run('chat', 'get', (client) => client.get('key'));

/** The health loop moves the breaker by itself: nobody has to ask for anything. */
async function untilBreakerIs(pool: RedisPool, state: BreakerState): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (pool.state !== state) {
    if (performance.now() > deadline) throw new Error(`the breaker is ${pool.state}, not ${state}`);
    await delay(20);
  }
}

for (const [title, end] of [
  ['stopped', 'SIGTERM'],
  ['killed', 'SIGKILL'],
] as const) {
  t.test(`a server that is ${title} opens the breaker, and one that is back closes it`, async (t) => {
    const server = await startRedis(t);
    const { pool } = await openPool(t, `redis://127.0.0.1:${server.port}`);
    t.equal(await set(pool, 'a'), 'OK');
    t.equal(pool.state, 'closed');
    await server.end(end);
    await t.rejects(set(pool, 'b'), { code: 'redis-unavailable' });
    await untilBreakerIs(pool, 'open');
    const sent = pool.statistics.bytesWritten;
    await t.rejects(get(pool), { code: 'redis-unavailable', message: /tried again within a second/ });
    t.equal(pool.statistics.bytesWritten, sent, 'an open breaker sends nothing');
    await server.start();
    await untilBreakerIs(pool, 'closed');
    t.equal(await set(pool, 'c'), 'OK');
    t.equal(await get(pool), 'c');
  });
}

t.test(
  'a server that hangs costs each command its time-out, until time-outs have opened the breaker',
  async (t) => {
    const server = await startRedis(t);
    const { pool, registry } = await openPool(t, `redis://127.0.0.1:${server.port}`);
    await set(pool, 'a');
    server.signal('SIGSTOP');
    const outcomes = await Promise.allSettled(Array.from({ length: 5 }, () => get(pool)));
    for (const outcome of outcomes) {
      t.match(outcome, {
        status: 'rejected',
        reason: { code: 'redis-unavailable', message: /did not answer get within 100 ms/ },
      });
    }
    t.equal(pool.state, 'open');
    t.match(await registry.metrics(), 'countersign_core_redis_breaker_state{state="open"} 1');
    t.match(
      await registry.metrics(),
      'countersign_core_redis_commands_total{database="chat",command="get",outcome="timeout"} 5',
    );
    server.signal('SIGCONT');
    await untilBreakerIs(pool, 'closed');
    t.equal(await get(pool), 'a');
  },
);

t.test('an open breaker tries again each second, and one success closes it', async (t) => {
  const server = await startRedis(t);
  const opened = await openPool(t, `redis://127.0.0.1:${server.port}`);
  const { pool } = opened;
  await server.end('SIGKILL');
  await Promise.allSettled(Array.from({ length: 5 }, () => get(pool)));
  while (opened.states.length < 3) await delay(20);
  t.strictSame(opened.states.slice(0, 3), ['open', 'half-open', 'open']);
  await server.start();
  await untilBreakerIs(pool, 'closed');
  t.strictSame(opened.states.slice(-2), ['half-open', 'closed']);
});

t.test('a command that Redis refuses is the fault of the command, not of Redis', async (t) => {
  const server = await startRedis(t);
  const { pool } = await openPool(t, `redis://127.0.0.1:${server.port}`);
  await set(pool, 'a');
  for (let i = 0; i < 10; i++) {
    await t.rejects(
      pool.run('chat', 'lpush', (client) => client.lpush('key', 'x')),
      { name: 'ReplyError', message: /WRONGTYPE/ },
    );
  }
  t.equal(pool.state, 'closed');
});

t.test('counts what goes over the wire, over reconnections too', async (t) => {
  const server = await startRedis(t);
  const { pool } = await openPool(t, `redis://127.0.0.1:${server.port}`);
  const value = 'x'.repeat(10_000);
  await set(pool, value);
  const before = pool.statistics;
  for (let i = 0; i < 10; i++) await get(pool);
  const after = pool.statistics;
  const read = after.bytesRead - before.bytesRead;
  t.ok(read >= 100_000 && read < 110_000, `${read} bytes in for ten values of 10,000`);
  t.ok(after.bytesWritten - before.bytesWritten < 1000);
  t.equal(after.commands - before.commands, 10);
  t.equal(after.readyConnections, 2);
  await server.end('SIGKILL');
  await untilBreakerIs(pool, 'open');
  t.ok(pool.statistics.bytesRead >= after.bytesRead, 'what closed sockets carried stays counted');
});

t.test('speaks as an ACL user with a password from a file', async (t) => {
  const server = await startRedis(t, [
    ...[
      '--user',
      'default',
      'off',
      '--user',
      'chat',
      'on',
      '>right-password',
      '~chat:*',
      ...documentedCommands,
    ],
  ]);
  const file = join(await tempFolder(t), 'password');
  await writeFile(file, 'right-password\n', { mode: 0o600 });
  const { pool } = await openPool(t, `redis://127.0.0.1:${server.port}`, {
    username: 'chat',
    password_file: file,
  });
  t.equal(await pool.run('chat', 'set', (client) => client.set('chat:x', 1)), 'OK');
  await t.rejects(
    pool.run('chat', 'set', (client) => client.set('other', 1)),
    { code: 'redis-unavailable', message: /NOPERM/ },
  );
  await t.rejects(openPool(t, `redis://127.0.0.1:${server.port}`, { password_file: '/nowhere/password' }), {
    code: 'bad-configuration',
    message: '/nowhere/password: found no such file, expected a readable file',
  });
});

t.test('a start without Redis neither fails nor waits for it, and finds it when it comes', async (t) => {
  const server = await startRedis(t);
  await server.end('SIGTERM');
  const config: RedisConfig = {
    url: parseRedisUrl(`redis://127.0.0.1:${server.port}`),
    databases: { chat: 0 },
    pool: 1,
  };
  const pool = await RedisPool.open(config, 100, 300, new Registry(), silent);
  t.teardown(() => pool.close());
  await t.rejects(get(pool), { code: 'redis-unavailable' });
  await server.start();
  await untilBreakerIs(pool, 'open').catch(() => undefined);
  await untilBreakerIs(pool, 'closed');
  t.equal(await set(pool, 'x'), 'OK');
});

t.test(
  'a network that swallows everything is a time-out, too, and the connection is made anew',
  async (t) => {
    const sockets: Socket[] = [];
    let connections = 0;
    const blackHole = createServer((socket) => {
      connections++;
      sockets.push(socket);
      socket.on('error', () => undefined);
    }).listen(0, '127.0.0.1');
    t.teardown(() => {
      for (const socket of sockets) socket.destroy();
      blackHole.close();
    });
    await new Promise((resolve) => blackHole.once('listening', resolve));
    const config: RedisConfig = {
      url: parseRedisUrl(`redis://127.0.0.1:${(blackHole.address() as AddressInfo).port}`),
      databases: { chat: 0 },
      pool: 1,
    };
    const pool = await RedisPool.open(config, 100, 200, new Registry(), silent);
    t.teardown(() => pool.close());
    await t.rejects(get(pool), { code: 'redis-unavailable' });
    const deadline = performance.now() + 10_000;
    while (connections < 2 && performance.now() < deadline) await delay(50);
    t.ok(connections >= 2);
  },
);
