import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { RecordingApp } from '../../support/raw-http.ts';
import { runCountersign } from '../../support/run-countersign.ts';
import { freePorts, type Phase, startSidecar, writeFleet } from '../../support/sidecar-process.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const authorization = `services:
  npu-worker:
    callers: { main-backend: [ POST /api/process ] }
`;

/** npu-worker behind its built sidecar, and the files with which main-backend calls it. */
async function fleetOfTwo(t: Test, phase: Phase) {
  const folder = await tempFolder(t);
  const app = await RecordingApp.start(t);
  const [outbound, inbound, admin, other] = (await freePorts(4)) as [number, number, number, number];
  await writeFleet(
    folder,
    {
      'npu-worker': { inbound, app: app.port },
      'main-backend': { host: '127.0.0.2', inbound: other, app: 1 },
    },
    authorization,
  );
  await startSidecar(t, {
    phase,
    folder: join(folder, 'npu-worker'),
    service: 'npu-worker',
    ports: { outbound, inbound, admin },
    app: app.port,
  });
  const files = [
    '--keyring',
    join(folder, 'main-backend/keyring.json'),
    '--fleet',
    join(folder, 'fleet.yaml'),
  ];
  return { app, inbound, files, call: (...words: string[]) => runCountersign(['call', ...words, ...files]) };
}

t.test('makes a sealed, signed call, and shows what was signed and what came back', async (t) => {
  const { app, call, inbound } = await fleetOfTwo(t, 'enforcing');
  const { code, stdout, stderr } = await call(
    'POST',
    'http://npu-worker/api/process',
    '-d',
    '{"image":"cat.png"}',
    '-H',
    'Content-Type: application/json',
    '-v',
  );
  t.equal(code, 0, stderr);
  t.equal(app.requests.length, 1);
  t.match(app.requests[0]?.head, /^X-Service-ID: main-backend\r?$/m);
  t.match(stderr, `* main-backend calls npu-worker at 127.0.0.1:${inbound} with main-backend/1`);
  t.match(stderr, /\* sealed: TLSv1\.3/);
  t.match(stderr, /> Signature: svc=:/);
  t.match(stderr, /< 200 /);
  t.match(stderr, /allowed by the callee's sidecar/);
  t.notMatch(stdout + stderr, /"key"/);
});

t.test('a refusal is told with its reason, and as an exit code', async (t) => {
  const { app, call } = await fleetOfTwo(t, 'enforcing');
  const { code, stdout, stderr } = await call('GET', 'http://npu-worker/api/other', '-v');
  t.equal(code, 1);
  t.match(JSON.parse(stdout), { reason: 'not-authorized' });
  t.match(stderr, /refused by the callee's sidecar: not-authorized/);
  t.equal(app.requests.length, 0);
});

t.test('in the logging phase it says what enforcing would do', async (t) => {
  const { app, call } = await fleetOfTwo(t, 'logging');
  const { code, stderr } = await call('GET', 'http://npu-worker/api/other', '-v');
  t.equal(code, 0);
  t.match(stderr, /enforcing would refuse it: not-authorized/);
  t.equal(app.requests.length, 1);
});

t.test('sends nothing to a peer that does not prove the pair key', async (t) => {
  const { files } = await fleetOfTwo(t, 'enforcing');
  const received: Buffer[] = [];
  const impostor: Server = createServer((socket) => {
    socket.on('data', (bytes: Buffer) => {
      received.push(bytes);
      socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    });
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => impostor.listen(0, '127.0.0.1', resolve));
  t.teardown(() => impostor.close());
  const { port } = impostor.address() as { port: number };
  const url = `http://127.0.0.1:${port}/api/process`;
  const { code, stderr } = await runCountersign(['call', 'POST', url, '-d', 'secret body', ...files]);
  t.equal(code, 1);
  t.match(stderr, /nothing of the call was sent/);
  t.notMatch(Buffer.concat(received).toString('latin1'), /secret body|Signature|POST/);
});

t.test('wrong words are told with what was expected', async (t) => {
  const { files } = await fleetOfTwo(t, 'enforcing');
  const nobody = await runCountersign(['call', 'GET', 'http://nobody/x', ...files]);
  t.equal(nobody.code, 64);
  t.match(nobody.stderr, /found nobody, expected a service that main-backend has keys for: .*npu-worker/);
  const noPort = await runCountersign(['call', 'GET', 'http://npu-worker/x', ...files.slice(0, 2)]);
  t.match(noPort.stderr, /found no port in npu-worker, expected one, or --fleet/);
});
