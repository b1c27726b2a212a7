import { join } from 'node:path';
import t, { type Test } from 'tap';
import { exchange, RecordingApp } from '../../support/raw-http.ts';
import { freePorts, launchSidecar, startSidecar, writeFleet } from '../../support/sidecar-process.ts';
import { buildSigned, outboundKey } from '../../support/signed-request.ts';
import { tempFolder } from '../../support/temp-folder.ts';
import { authorization, startTarget } from './target.ts';

const now = () => Math.floor(Date.now() / 1000);

/** npu-worker on ports of its own, to be started as often as a test likes. */
async function target(test: Test) {
  const folder = await tempFolder(test);
  const app = await RecordingApp.start(test);
  const [outbound, inbound, admin] = (await freePorts(3)) as [number, number, number];
  await writeFleet(
    folder,
    {
      'npu-worker': { inbound, app: app.port },
      'main-backend': { inbound: 1, app: 2 },
      'ai-stack': { inbound: 3, app: 4 },
    },
    authorization,
  );
  const options = {
    folder: join(folder, 'npu-worker'),
    service: 'npu-worker',
    ports: { outbound, inbound, admin },
    app: app.port,
  } as const;
  const key = await outboundKey(join(folder, 'main-backend/keyring.json'), 'npu-worker');
  return { options, inbound, key };
}

t.test('a call is not accepted again after a restart', async (t) => {
  const { options, inbound, key } = await target(t);
  const first = await startSidecar(t, { ...options, phase: 'enforcing' });
  const request = buildSigned({ ...key, host: 'npu-worker', target: '/api/status/1' });
  t.equal((await exchange(t, inbound, request.bytes)).status, 200);
  t.equal(await first.stop(), 0);
  await startSidecar(t, { ...options, phase: 'enforcing' });
  t.equal((await exchange(t, inbound, request.bytes)).reason, 'replayed');
  t.equal(
    (await exchange(t, inbound, buildSigned({ ...key, host: 'npu-worker', target: '/api/status/1' }).bytes))
      .status,
    200,
    'new calls pass at once',
  );
});

t.test('a call is not accepted again after kill -9, also one whose created lay in the future', async (t) => {
  const target = await startTarget(t);
  const early = target.signed({ created: now() + 200 });
  const late = target.signed();
  t.equal((await exchange(t, target.inbound, early.bytes)).status, 200);
  t.equal((await exchange(t, target.inbound, late.bytes)).status, 200);
  await target.sidecar.stop('SIGKILL');
  await startSidecar(t, {
    phase: 'enforcing',
    folder: join(target.folder, 'npu-worker'),
    service: 'npu-worker',
    ports: { inbound: target.inbound, outbound: target.outbound, admin: target.admin },
    app: target.app.port,
  });
  const before = target.app.requests.length;
  t.equal((await exchange(t, target.inbound, early.bytes)).reason, 'memory-lost');
  t.equal((await exchange(t, target.inbound, late.bytes)).reason, 'memory-lost');
  t.equal(target.app.requests.length, before);
});

t.test('a call is not accepted again across a swap, in either direction', async (t) => {
  const { options, inbound, key } = await target(t);
  let serving = await startSidecar(t, { ...options, phase: 'logging' });
  const seen: Buffer[] = [];
  for (const phase of ['enforcing', 'logging', 'enforcing'] as const) {
    const request = buildSigned({ ...key, host: 'npu-worker', target: '/api/status/1' });
    t.equal((await exchange(t, inbound, request.bytes)).status, 200);
    seen.push(request.bytes);
    const next = await launchSidecar(t, { ...options, phase });
    await next.said('waiting for the state lock');
    t.equal(await serving.stop(), 0);
    await next.said('ready');
    serving = next;
    if (phase === 'enforcing')
      for (const bytes of seen) t.equal((await exchange(t, inbound, bytes)).reason, 'replayed');
  }
});

t.test('a call for one host of a service is worth nothing at another host of it', async (t) => {
  const folder = await tempFolder(t);
  const app = await RecordingApp.start(t);
  const [inbound, outbound, admin] = (await freePorts(3)) as [number, number, number];
  await writeFleet(
    folder,
    {
      'npu-worker': { host: '127.0.0.1', inbound, app: app.port },
      'main-backend': { inbound: 1, app: 2 },
      'ai-stack': { inbound: 3, app: 4 },
    },
    authorization,
  );
  // The same service on another host has the same name and port, and other pair keys.
  await writeFleet(
    join(folder, 'other'),
    {
      'npu-worker': { host: '127.0.0.9', inbound, app: app.port },
      'main-backend': { inbound: 1, app: 2 },
      'ai-stack': { inbound: 3, app: 4 },
    },
    authorization,
  );
  await startSidecar(t, {
    phase: 'enforcing',
    folder: join(folder, 'npu-worker'),
    service: 'npu-worker',
    ports: { inbound, outbound, admin },
    app: app.port,
  });
  const key = await outboundKey(join(folder, 'other/main-backend/keyring.json'), 'npu-worker', '127.0.0.9');
  const request = buildSigned({ ...key, host: 'npu-worker', target: '/api/status/1' });
  t.equal((await exchange(t, inbound, request.bytes)).reason, 'signature-mismatch');
  t.equal(app.bytes, '');
});
