import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import t from 'tap';
import { parseRedisUrl } from '../../../core/config/redis-url.ts';
import { RedisPool } from '../../../core/redis/redis-pool.ts';
import { freePort, startRedis } from '../../support/redis-server.ts';
import { tempFolder } from '../../support/temp-folder.ts';

t.test('follows Sentinel to the new primary when the old one dies', async (t) => {
  const primary = await startRedis(t);
  const replica = await startRedis(
    t,
    ['--replicaof', `127.0.0.1 ${primary.port}`, '--repl-diskless-sync-delay', '0'],
    undefined,
    /Finished with success|MASTER <-> REPLICA sync/,
  );
  const folder = await tempFolder(t);
  const sentinels: number[] = [];
  for (let i = 0; i < 3; i++) {
    const file = join(folder, `sentinel-${i}.conf`);
    await writeFile(
      file,
      `sentinel monitor mymaster 127.0.0.1 ${primary.port} 2\nsentinel down-after-milliseconds mymaster 500\nsentinel failover-timeout mymaster 3000\n`,
    );
    const port = await freePort();
    await startRedis(t, [file, '--sentinel'], port, /\+monitor|Sentinel ID/);
    sentinels.push(port);
  }
  const url = `redis+sentinel://${sentinels.map((port) => `127.0.0.1:${port}`).join(',')}/mymaster`;
  const pool = await RedisPool.open(
    { url: parseRedisUrl(url), databases: { chat: 0 }, pool: 2 },
    200,
    5000,
    new Registry(),
    pino({ enabled: false }),
  );
  t.teardown(() => pool.close());
  const set = (value: string) => pool.run('chat', 'set', (client) => client.set('key', value));
  t.equal(await set('before'), 'OK');
  await sentinelsKnowAll(sentinels[0]!);

  await primary.end('SIGKILL');
  await t.rejects(set('while it is gone'), { code: 'redis-unavailable' });
  let answer: string | undefined;
  for (const deadline = performance.now() + 30_000; answer === undefined && performance.now() < deadline; ) {
    answer = await set('after').catch(() => undefined);
    if (answer === undefined) await delay(50);
  }
  t.equal(answer, 'OK', 'writes go on');
  const direct = new Redis({ port: replica.port, host: '127.0.0.1' });
  t.teardown(() => direct.disconnect());
  t.equal(await direct.get('key'), 'after', 'on the server that was the replica');
});

/** A fail-over needs the Sentinels to have found each other and the replica. */
async function sentinelsKnowAll(port: number): Promise<void> {
  const sentinel = new Redis({ port, host: '127.0.0.1' });
  for (const deadline = performance.now() + 20_000; performance.now() < deadline; await delay(50)) {
    const flat = (await sentinel.call('SENTINEL', 'MASTER', 'mymaster')) as string[];
    const field = (name: string) => Number(flat[flat.indexOf(name) + 1]);
    if (field('num-other-sentinels') === 2 && field('num-slaves') === 1) break;
  }
  sentinel.disconnect();
}
