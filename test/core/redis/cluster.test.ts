import { execFile } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import t from 'tap';
import { parseRedisUrl } from '../../../core/config/redis-url.ts';
import { RedisPool } from '../../../core/redis/redis-pool.ts';
import { freePort, startRedis } from '../../support/redis-server.ts';

t.test('serves from a cluster of three masters, and outlives the death and return of one', async (t) => {
  const nodes = [];
  for (let i = 0; i < 3; i++) {
    let port = await freePort();
    // The cluster bus listens 10,000 ports higher.
    while (port > 55_000) port = await freePort();
    nodes.push(
      await startRedis(
        t,
        [
          '--cluster-enabled',
          'yes',
          '--cluster-node-timeout',
          '1000',
          '--cluster-require-full-coverage',
          'no',
          '--cluster-config-file',
          `nodes-${port}.conf`,
        ],
        port,
      ),
    );
  }
  const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`);
  await promisify(execFile)('redis-cli', ['--cluster', 'create', ...addresses, '--cluster-yes']);
  const pool = await RedisPool.open(
    { url: parseRedisUrl(`redis+cluster://${addresses.join(',')}`), databases: { chat: 0 }, pool: 2 },
    500,
    10_000,
    new Registry(),
    pino({ enabled: false }),
  );
  t.teardown(() => pool.close());
  // So many keys that every master has some.
  const keys = Array.from({ length: 60 }, (_, index) => `chat:{${index}}:window`);
  const push = (key: string) =>
    pool.run('chat', 'rpush', (client) =>
      client.multi().rpush(key, 'a').ltrim(key, -5, -1).expire(key, 60).exec(),
    );
  const read = (key: string) => pool.run('chat', 'lrange', (client) => client.lrange(key, 0, -1));

  await untilAllSucceed(() => Promise.all(keys.map(push)));
  for (const key of keys) t.ok((await read(key)).length >= 1);
  t.ok(pool.statistics.bytesRead > 0);

  await nodes[0]!.end('SIGKILL');
  const outcomes = await Promise.allSettled(keys.map(read));
  t.ok(
    outcomes.some(({ status }) => status === 'rejected'),
    'what the dead master held is out of reach',
  );
  for (const outcome of outcomes) {
    if (outcome.status === 'rejected') t.match(outcome.reason, { code: 'redis-unavailable' });
  }
  await nodes[0]!.start();
  await untilAllSucceed(() => Promise.all(keys.map(push)));
  for (const key of keys) t.ok((await read(key)).length >= 1);
});

async function untilAllSucceed(work: () => Promise<unknown>): Promise<void> {
  for (const deadline = performance.now() + 30_000; ; await delay(100)) {
    try {
      await work();
      return;
    } catch (error) {
      if (performance.now() > deadline) throw error;
    }
  }
}
