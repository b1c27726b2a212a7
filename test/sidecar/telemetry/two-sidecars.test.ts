import { readFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { join } from 'node:path';
import t from 'tap';
import { thisBuild } from '../../../config/program.ts';
import { whyText } from '../../../sidecar/cli/why.ts';
import { readFrom } from '../../../sidecar/fleet-reader/from.ts';
import { writeSecretFile } from '../../../sidecar/keyring/secret-file.ts';
import { traceCall } from '../../../sidecar/readiness/both-sides.ts';
import { runCountersign } from '../../support/run-countersign.ts';
import { freePorts, type SidecarOptions, startSidecar, writeFleet } from '../../support/sidecar-process.ts';
import { relayHost, tamperingRelay } from '../../support/tampering-relay.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const authorization = `services:
  npu-worker:
    callers:
      main-backend: [GET /api/status/*]
`;
const folder = await tempFolder(t);
const [appPort, ...ports] = (await freePorts(8)) as [number, ...number[]];
const [backend, worker] = [ports.slice(0, 3), ports.slice(3, 6)].map(
  ([outbound, inbound, admin]) => ({ outbound, inbound, admin }) as SidecarOptions['ports'],
) as [SidecarOptions['ports'], SidecarOptions['ports']];
const relay = await tamperingRelay(t, worker.inbound);
// What passes inside TLS can't be changed: calls go in the clear here, which only the logging binary does.
relay.refusesTls = true;
await writeFleet(
  folder,
  {
    'main-backend': { inbound: backend.inbound, app: ports[6] as number },
    'npu-worker': { host: relayHost, inbound: worker.inbound, app: appPort },
  },
  authorization,
);
const app = createServer((incoming, response) => {
  incoming.resume();
  if (incoming.url === '/api/status/pretends') response.setHeader('X-Service-Denial', 'replayed');
  response.writeHead(incoming.url === '/api/status/forbidden' ? 403 : 200).end('from the app');
});
await new Promise<void>((resolve) => app.listen(appPort, '127.0.0.1', resolve));
t.teardown(() => app.close().closeAllConnections());

const workerOptions: SidecarOptions = {
  phase: 'enforcing',
  folder: join(folder, 'npu-worker'),
  service: 'npu-worker',
  ports: worker,
  app: appPort,
};
const caller = await startSidecar(t, {
  phase: 'logging',
  folder: join(folder, 'main-backend'),
  service: 'main-backend',
  ports: backend,
  app: ports[6] as number,
});
const wholeFile = t;
const first = await startSidecar(wholeFile, workerOptions);
let second = first;
const admin = (port: number) => `http://127.0.0.1:${port}`;

interface Answer {
  readonly status: number;
  readonly id: string;
  readonly refusal: string | undefined;
  readonly denial: string | undefined;
}

function call(path: string, port = backend.outbound): Promise<Answer> {
  return new Promise((resolve, reject) => {
    request({ port, path, headers: { host: 'npu-worker' }, agent: false }, (response) => {
      response.resume().on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          id: String(response.headers['x-request-id']),
          refusal: response.headers['x-service-refusal'] as string | undefined,
          denial: response.headers['x-service-denial'] as string | undefined,
        }),
      );
    })
      .on('error', reject)
      .end();
  });
}

t.test('why tells what was changed between two sidecars', async (t) => {
  relay.change = (text) => text.replace('/api/status/42', '/api/status/43');
  const { status, id } = await call('/api/status/42');
  relay.change = (text) => text;
  t.equal(status, 401);
  const { code, stdout, stderr } = await runCountersign([
    'why',
    id,
    '--from',
    admin(backend.admin),
    '--from',
    admin(worker.admin),
  ]);
  t.equal(code, 0, stderr);
  t.match(stdout, /claims to be main-backend sent GET \/api\/status\/43 to npu-worker: was refused/);
  t.match(stdout, /signed GET \/api\/status\/42 for npu-worker with main-backend\/1/);
  t.match(stdout, /"@path" +[0-9a-f]{8} +[0-9a-f]{8} +DIFFERS/);
  t.match(stdout, /"@method" +[0-9a-f]{8} +[0-9a-f]{8} +same/);
  t.match(stdout, /Changed on the way: "@path"\./);
});

t.test('the app’s own 403 is told from a sidecar’s', async (t) => {
  const own = await call('/api/status/forbidden');
  t.equal(own.status, 403);
  t.equal(own.refusal, undefined);
  const ours = await call('/api/other');
  t.equal(ours.status, 403);
  t.equal(ours.refusal, 'not-authorized');
  const trace = traceCall(await readFrom([admin(worker.admin)]), ours.id);
  t.match(whyText(trace!), /main-backend sent GET \/api\/other to npu-worker: was refused/);
});

t.test('counts, keys and skew stand on the admin listener, and the counts outlive the process', async (t) => {
  const metrics = await (await fetch(`${admin(worker.admin)}/metrics`)).text();
  for (const line of [
    'countersign_requests_total{direction="inbound",peer="main-backend",verdict="allowed",reason="",code="403"} 1',
    'countersign_requests_total{direction="inbound",peer="main-backend",verdict="denied",reason="not-authorized",code="403"} 1',
    'countersign_requests_total{direction="inbound",peer="unknown",verdict="denied",reason="signature-mismatch",code="401"} 1',
    'countersign_clock_skew_seconds_count{caller="main-backend"} 2',
    'countersign_key_uses_total{kid="main-backend/1"} 2',
    `countersign_phase_info{phase="enforcing",version="${thisBuild().version}"} 1`,
  ])
    t.ok(metrics.includes(`\n${line}\n`), line);
  t.match(metrics, /\ncountersign_key_age_seconds\{kid="main-backend\/1"} \d/);
  t.match(metrics, /\ncountersign_replay_entries [1-9]/);

  const [before] = await readFrom([admin(worker.admin)], ['observed']);
  t.equal(await first.stop(), 0);
  second = await startSidecar(wholeFile, workerOptions);
  const [after] = await readFrom([admin(worker.admin)], ['observed', 'status']);
  t.equal(after?.observed?.since, before?.observed?.since);
  t.same(after?.observed?.observations, before?.observed?.observations);
  t.match(after?.status, { service: 'npu-worker', phase: 'enforcing', ready: true, app_exposed_on: [] });
});

t.test(
  'both ends of a call that was only logged are compared, and its app hears nothing of it',
  async (t) => {
    t.equal(await second.stop(), 0);
    await startSidecar(t, { ...workerOptions, phase: 'logging' });
    const both = [admin(backend.admin), admin(worker.admin)];
    relay.change = (text) => text.replace('/api/status/44', '/api/status/45');
    const forwarded = await call('/api/status/44');
    relay.change = (text) => text;
    t.match(forwarded, { status: 200, refusal: undefined, denial: undefined });
    const text = whyText(traceCall(await readFrom(both), undefined)!);
    t.match(
      text,
      /GET \/api\/status\/45 to npu-worker: was forwarded, and would be refused by the enforcing binary/,
    );
    t.match(text, /signed GET \/api\/status\/44 for npu-worker with main-backend\/1/);
    t.match(text, /Changed on the way: "@path"\./);
    const stranger = await call('/api/status/46', worker.inbound);
    t.match(stranger, { status: 200, denial: 'missing-signature' }, 'who has no sidecar is told');

    const kept = async () =>
      (await readFrom([admin(backend.admin)], ['denials']))[0]?.denials?.signed?.length;
    const before = await kept();
    t.match(await call('/api/status/pretends'), { status: 200, denial: undefined });
    t.equal(await kept(), before, 'an app cannot say that its sidecar denied a call');
  },
);

t.test('a call that left unsigned is told from one that went around the sidecar', async (t) => {
  const file = join(folder, 'main-backend', 'keyring.json');
  const keyring = JSON.parse(await readFile(file, 'utf8'));
  delete keyring.outbound['npu-worker'];
  await writeSecretFile(file, JSON.stringify(keyring));
  await caller.said('new keyring in force');
  await startSidecar(t, workerOptions);
  const { id, refusal } = await call('/api/status/47');
  t.equal(refusal, 'missing-signature');
  const text = whyText(traceCall(await readFrom([admin(backend.admin), admin(worker.admin)]), id)!);
  t.match(
    text,
    /caller's side .*\n.*\n.*\n.*the keyring here has no key for npu-worker: see countersign keys status/,
  );
});
