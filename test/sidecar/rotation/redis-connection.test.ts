import { execFile } from 'node:child_process';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import t, { type Test } from 'tap';
import { fleetOf, fleetYaml } from '../../support/keyrings.ts';
import { freePort, startRedis } from '../../support/redis-server.ts';
import { type Ran, runCountersign } from '../../support/run-countersign.ts';
import { freePorts } from '../../support/sidecar-process.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const run = promisify(execFile);
const fleet = fleetOf({
  'main-backend': ['127.0.0.1'],
  'npu-worker': ['127.0.0.2'],
  'ai-stack': ['127.0.0.3'],
});

/** Makes keys and shows them, by the command line. */
async function initAndStatus(t: Test, folder: string, words: readonly string[]): Promise<[Ran, Ran]> {
  await writeFile(join(folder, 'fleet.yaml'), fleetYaml(fleet));
  const args = ['--fleet', join(folder, 'fleet.yaml'), ...words];
  const init = await runCountersign(['keys', 'init', ...args, '--out', join(folder, 'out')]);
  const status = await runCountersign(['keys', 'status', ...args]);
  t.equal(init.code, 0, init.stderr);
  t.equal(status.code, 0, status.stderr);
  t.match(status.stdout, /^ai-stack +ai-stack\/1 +active/m);
  return [init, status];
}

async function secretFile(folder: string, name: string, text: string): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, text, { mode: 0o600 });
  return file;
}

t.test('over TLS, with a certificate on both sides', async (t) => {
  const folder = await tempFolder(t);
  const at = (name: string) => join(folder, name);
  const openssl = (...args: string[]) => run('openssl', args, { cwd: folder });
  const subject = (name: string) => ['-subj', `/CN=${name}`];
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await openssl(
    'req',
    '-x509',
    ...ec,
    '-keyout',
    'ca.key',
    '-out',
    'ca.crt',
    '-days',
    '2',
    ...subject('test ca'),
  );
  await writeFile(at('names'), 'subjectAltName=IP:127.0.0.1');
  for (const name of ['server', 'client']) {
    await openssl('req', ...ec, '-keyout', `${name}.key`, '-out', `${name}.csr`, ...subject(name));
    await openssl(
      ...['x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial'],
      ...['-days', '2', '-extfile', 'names', '-out', `${name}.crt`],
    );
    await chmod(at(`${name}.key`), 0o600);
  }
  const port = String(await freePort());
  await startRedis(t, [
    ...['--tls-port', port, '--tls-ca-cert-file', at('ca.crt')],
    ...['--tls-cert-file', at('server.crt'), '--tls-key-file', at('server.key')],
  ]);
  const url = ['--redis', `rediss://127.0.0.1:${port}`];
  const mine = ['--redis-cert', at('client.crt'), '--redis-key', at('client.key')];
  await initAndStatus(t, folder, [...url, '--redis-ca', at('ca.crt'), ...mine]);

  const fleetFile = ['--fleet', at('fleet.yaml')];
  // Nothing in the environment makes it accept any certificate.
  const env = { PATH: process.env.PATH, NODE_TLS_REJECT_UNAUTHORIZED: '0' };
  const unchecked = await runCountersign(['keys', 'status', ...url, ...mine, ...fleetFile], { env });
  t.match(unchecked, { code: 1, stderr: /cannot be used: .*(self-signed|unable to verify|local issuer)/ });
  const stranger = await runCountersign(['keys', 'status', ...url, '--redis-ca', at('ca.crt'), ...fleetFile]);
  t.match(stranger, { code: 1, stderr: /the key registry cannot be used/ });
  const plain = ['--redis', `redis://127.0.0.1:${port}`, '--redis-ca', at('ca.crt')];
  const mixed = await runCountersign(['keys', 'status', ...plain, ...fleetFile]);
  t.match(mixed, { code: 64, stderr: /found a URL without TLS beside certificates/ });
});

t.test('as an ACL user who may do nothing but keep keys, with its password in a file', async (t) => {
  const folder = await tempFolder(t);
  const { port } = await startRedis(t);
  const admin = new Redis(port, '127.0.0.1');
  t.teardown(() => admin.disconnect());
  const page = await readFile(new URL('../../../docs/keys.md', import.meta.url), 'utf8');
  const rule = /^ {4}user countersign-rotator (.*)$/m.exec(page)?.[1]?.replace('PASSWORD', 'right') ?? '';
  t.not(rule, '', 'the page gives the ACL rule');
  await admin.call('ACL', 'SETUSER', 'countersign-rotator', ...rule.split(' '));
  await admin.call('ACL', 'SETUSER', 'default', 'off');
  const password = await secretFile(folder, 'password', 'right\n');
  const user = ['--redis', `redis://127.0.0.1:${port}`, '--redis-user', 'countersign-rotator'];
  await initAndStatus(t, folder, [...user, '--redis-password-file', password]);

  const fleetFile = ['--fleet', join(folder, 'fleet.yaml')];
  const wrong = await secretFile(folder, 'wrong', 'hunter2\n');
  const refused = await runCountersign([
    'keys',
    'status',
    ...user,
    '--redis-password-file',
    wrong,
    ...fleetFile,
  ]);
  t.match(refused, { code: 1, stderr: /the key registry refuses: WRONGPASS/ });
  t.notMatch(refused.stderr, /hunter2/);
  const nobody = await runCountersign([
    'keys',
    'status',
    '--redis',
    `redis://127.0.0.1:${port}`,
    ...fleetFile,
  ]);
  t.match(nobody, { code: 1, stderr: /the key registry refuses: NOAUTH/ });
  await chmod(password, 0o644);
  const open = await runCountersign([
    'keys',
    'status',
    ...user,
    '--redis-password-file',
    password,
    ...fleetFile,
  ]);
  t.match(open, { code: 78, stderr: /found mode 0644, expected 0600/ });
});

t.test('through Sentinels', async (t) => {
  const folder = await tempFolder(t);
  const { port } = await startRedis(t);
  const file = join(folder, 'sentinel.conf');
  await writeFile(file, `sentinel monitor keys 127.0.0.1 ${port} 1\n`);
  const sentinel = await startRedis(t, [file, '--sentinel'], undefined, /\+monitor master/);
  const url = `redis+sentinel://127.0.0.1:${sentinel.port},127.0.0.1:1/keys`;
  await initAndStatus(t, folder, ['--redis', url]);
  const redis = new Redis(port, '127.0.0.1');
  t.teardown(() => redis.disconnect());
  t.equal(await redis.hget('service:key:npu-worker', 'kid'), 'npu-worker/1');
  const other = `redis+sentinel://127.0.0.1:${sentinel.port}/other`;
  const words = ['--redis', other, '--fleet', join(folder, 'fleet.yaml')];
  t.match(await runCountersign(['keys', 'status', ...words]), {
    code: 1,
    stderr: /the key registry cannot be used/,
  });
});

t.test('in a Cluster, where the keys of the services lie on different masters', async (t) => {
  const folder = await tempFolder(t);
  const cluster = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '2000'];
  // All at once, so that no node's bus takes the port of another.
  const ports = await freePorts(6);
  const nodes = await Promise.all(
    [0, 1, 2].map((node) =>
      startRedis(t, [...cluster, '--cluster-port', String(ports[node + 3])], ports[node]),
    ),
  );
  const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`);
  await run('redis-cli', ['--cluster', 'create', ...addresses, '--cluster-replicas', '0', '--cluster-yes']);
  await initAndStatus(t, folder, ['--redis', `redis+cluster://${addresses.slice(0, 2).join(',')}`]);
  const held = await Promise.all(
    nodes.map(async ({ port }) => {
      const redis = new Redis(port, '127.0.0.1');
      t.teardown(() => redis.disconnect());
      return (await redis.keys('service:key:*')).length;
    }),
  );
  t.ok(held.filter((count) => count > 0).length > 1, `keys by master: ${held.join(', ')}`);
});

t.test('says at once when nobody answers', async (t) => {
  const folder = await tempFolder(t);
  await writeFile(join(folder, 'fleet.yaml'), fleetYaml(fleet));
  const port = await freePort();
  for (const scheme of ['redis', 'rediss', 'redis+cluster']) {
    const words = ['--redis', `${scheme}://127.0.0.1:${port}`, '--fleet', join(folder, 'fleet.yaml')];
    const ran = await runCountersign(['keys', 'status', ...words]);
    t.match(
      ran,
      { code: 1, stderr: /the key registry cannot be used: .*(ECONNREFUSED|None of startup nodes)/ },
      scheme,
    );
  }
});
