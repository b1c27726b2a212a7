import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import t from 'tap';
import { parseRedisUrl } from '../../../core/config/redis-url.ts';
import { RedisPool } from '../../../core/redis/redis-pool.ts';
import { freePort, startRedis } from '../../support/redis-server.ts';
import { tempFolder } from '../../support/temp-folder.ts';

t.test('speaks TLS to a server whose certificate the named authority signed, and to no other', async (t) => {
  const folder = await tempFolder(t);
  const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')];
  await promisify(execFile)('openssl', [
    ...[
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-days',
      '2',
      '-subj',
      '/CN=127.0.0.1',
    ],
    ...['-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', certificate],
  ]);
  const port = await freePort();
  await startRedis(t, [
    ...['--tls-port', String(port), '--tls-cert-file', certificate, '--tls-key-file', key],
    ...['--tls-ca-cert-file', certificate, '--tls-auth-clients', 'no'],
  ]);
  const open = async (more: { ca_file?: string }) => {
    const config = {
      url: parseRedisUrl(`rediss://127.0.0.1:${port}`),
      databases: { chat: 0 },
      pool: 1,
      ...more,
    };
    const pool = await RedisPool.open(config, 200, 1000, new Registry(), pino({ enabled: false }));
    t.teardown(() => pool.close());
    return pool;
  };
  const trusting = await open({ ca_file: certificate });
  t.equal(await trusting.run('chat', 'ping', (client) => client.ping()), 'PONG');
  const distrusting = await open({});
  await t.rejects(
    distrusting.run('chat', 'ping', (client) => client.ping()),
    { code: 'redis-unavailable' },
  );
});
