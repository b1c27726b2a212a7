import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { onHead, rawApp } from '../support/raw-app.ts';
import { exchange, RawClient } from '../support/raw-http.ts';
import { authorization, startTarget, type Target } from './attacks/target.ts';

/** Replaces a file as deployments do: written beside it, then renamed over it. */
async function replace(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text, { mode: 0o600 });
  await rename(`${file}.new`, file);
}

const models = ({ signed }: Target) => signed({ target: '/api/models' }).bytes;

t.test('a changed matrix is in force without a restart, a broken one never is', async (t) => {
  const target = await startTarget(t);
  const { sidecar, inbound, folder } = target;
  const file = join(folder, 'authorization.yaml');
  t.equal((await exchange(t, inbound, models(target))).reason, 'not-authorized');
  await replace(file, authorization.replace('main-backend: [ POST', 'main-backend: [ GET /api/models, POST'));
  await sidecar.said('new matrix and fleet in force');
  t.equal((await exchange(t, inbound, models(target))).status, 200);

  await replace(file, `${authorization}  nobody-knows-me:\n    public: [ GET / ]\n`);
  await sidecar.said('the new matrix or fleet is refused; the old ones stay in force');
  const refusal = sidecar.log.find(({ event }) => event === 'policy-refused');
  t.match(refusal?.problem, /authorization\.yaml:\d+:\d+: .*nobody-knows-me/, 'file, line and column');
  t.equal((await exchange(t, inbound, models(target))).status, 200, 'the old one stays in force');
});

t.test('SIGHUP reloads too', async (t) => {
  const target = await startTarget(t);
  const { sidecar, inbound, folder } = target;
  const file = join(folder, 'authorization.yaml');
  await writeFile(
    file,
    authorization.replace('main-backend: [ POST', 'main-backend: [ GET /api/models, POST'),
  );
  sidecar.child.kill('SIGHUP');
  await sidecar.said('new matrix and fleet in force');
  t.equal((await exchange(t, inbound, models(target))).status, 200);
  sidecar.child.kill('SIGHUP');
  t.equal((await exchange(t, inbound, models(target))).status, 200, 'one without a change is harmless');
});

t.test('a broken keyring is refused, and the old one stays in force', async (t) => {
  const target = await startTarget(t);
  const { sidecar, inbound, folder, signed } = target;
  const file = join(folder, 'npu-worker/keyring.json');
  const right = await readFile(file, 'utf8');
  for (const broken of [
    '{',
    '{}',
    right.replace('"npu-worker"', '"main-backend"'),
    right.replace(/"key": ?"[^"]{8}/, '"key":"'),
  ]) {
    const before = sidecar.log.filter(({ event }) => event === 'keyring-refused').length;
    await replace(file, broken);
    while (sidecar.log.filter(({ event }) => event === 'keyring-refused').length === before)
      await new Promise((resolve) => setTimeout(resolve, 20));
    t.equal((await exchange(t, inbound, signed().bytes)).status, 200);
  }
  const keys = [...right.matchAll(/"([A-Za-z0-9+/]{43}=)"/g)].map(([, key]) => key!);
  const told = JSON.stringify(sidecar.log) + sidecar.stderr;
  t.ok(keys.length > 0 && keys.every((key) => !told.includes(key)), 'no key is in the log');
});

t.test('revoke: a caller without a key is refused at once, and its tunnel ends', async (t) => {
  const port = await rawApp(t, (socket) =>
    onHead(socket, (head) => {
      socket.write(
        head.includes('Upgrade: websocket')
          ? 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello'
          : 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
      );
    }),
  );
  const { sidecar, inbound, folder, signed } = await startTarget(t, 'enforcing', '', port);
  const tunnel = await RawClient.connect(t, inbound);
  const request = signed({ target: '/internal/ws', fields: [['Upgrade', 'websocket']] });
  tunnel.write(request.head.replace('Host:', 'Connection: Upgrade\r\nHost:'));
  t.match(await tunnel.until((text) => text.endsWith('hello')), /^HTTP\/1\.1 101 /);

  const file = join(folder, 'npu-worker/keyring.json');
  const keyring = JSON.parse(await readFile(file, 'utf8')) as { inbound: Record<string, unknown> };
  delete keyring.inbound['main-backend'];
  await replace(file, JSON.stringify(keyring));
  await tunnel.end();
  t.pass('the tunnel has ended');
  await sidecar.said('new keyring in force');
  t.equal((await exchange(t, inbound, signed().bytes)).reason, 'unknown-key');
});
