import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import t, { type Test } from 'tap';
import { exchange, RecordingApp } from '../../support/raw-http.ts';
import { freePorts, launchSidecar, startSidecar, writeFleet } from '../../support/sidecar-process.ts';
import { buildSigned, outboundKey } from '../../support/signed-request.ts';
import { tempFolder } from '../../support/temp-folder.ts';
import { authorization, startTarget } from './target.ts';

const run = promisify(execFile);
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
  return { options, inbound, key, folder };
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

t.test(
  'a call is not accepted again after kill -9 when the state directory has lost what was in it',
  async (t) => {
    for (const lost of ['state/marks.json', 'state']) {
      const { options, inbound, key } = await target(t);
      const first = await startSidecar(t, { ...options, phase: 'enforcing' });
      const request = buildSigned({ ...key, host: 'npu-worker', target: '/api/status/1' });
      t.equal((await exchange(t, inbound, request.bytes)).status, 200);
      await first.stop('SIGKILL');
      await rm(join(options.folder, lost), { recursive: true });
      const second = await launchSidecar(t, { ...options, phase: 'enforcing', state: 'nothing' });
      await second.said(
        'the state directory was empty: what was accepted before is unknown, so calls signed up to now are refused',
      );
      t.equal((await exchange(t, inbound, request.bytes)).reason, 'memory-lost', `without ${lost}`);
      await second.said('ready');
      t.equal((await exchange(t, inbound, request.bytes)).reason, 'memory-lost', 'also once it is ready');
      const ahead = buildSigned({
        ...key,
        host: 'npu-worker',
        target: '/api/status/1',
        created: now() + 250,
      });
      t.equal(
        (await exchange(t, inbound, ahead.bytes)).reason,
        'memory-lost',
        'a caller whose clock is ahead',
      );
      const fresh = buildSigned({ ...key, host: 'npu-worker', target: '/api/status/1' });
      t.equal(
        (await exchange(t, inbound, fresh.bytes)).status,
        200,
        'new calls pass as soon as it says ready',
      );
      await second.stop('SIGKILL');
    }
  },
);

const faketime = `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/faketime/libfaketimeMT.so.1`;

t.test('a clock that jumps two days ahead for a moment locks nobody out after a crash', async (t) => {
  t.ok(existsSync(faketime), 'the package faketime is installed');
  const { options, inbound, key } = await target(t);
  const clock = join(options.folder, 'clock');
  await mkdir(options.folder, { recursive: true });
  await writeFile(clock, '+0\n');
  const env = {
    LD_PRELOAD: faketime,
    FAKETIME_TIMESTAMP_FILE: clock,
    FAKETIME_NO_CACHE: '1',
    DONT_FAKE_MONOTONIC: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  };
  const call = (created = now()) =>
    buildSigned({ ...key, host: 'npu-worker', target: '/api/status/1', created });
  const first = await startSidecar(t, { ...options, phase: 'enforcing', env });
  await writeFile(clock, '+172800\n');
  const jumped = await exchange(t, inbound, call(now() + 172_800).bytes);
  t.equal(jumped.reason, 'outside-window');
  await writeFile(clock, '+0\n');
  t.equal((await exchange(t, inbound, call().bytes)).status, 200);
  await first.stop('SIGKILL');
  await startSidecar(t, { ...options, phase: 'enforcing' });
  // The mark is at most two seconds ahead of the crash.
  t.equal((await exchange(t, inbound, call(now() + 4).bytes)).status, 200);
});

t.test('a host whose clock is ahead locks out no other host of its caller after a crash', async (t) => {
  const { options, folder } = await target(t);
  const files = [
    '--keyring',
    join(folder, 'main-backend/keyring.json'),
    '--fleet',
    join(folder, 'fleet.yaml'),
  ];
  const call = (ahead: string) =>
    run(
      join(import.meta.dirname, '../../../dist/countersign'),
      ['call', 'GET', 'http://npu-worker/api/status/1', ...files],
      { env: { PATH: process.env.PATH, LD_PRELOAD: faketime, FAKETIME: ahead } },
    );
  const first = await startSidecar(t, { ...options, phase: 'enforcing' });
  await t.resolves(call('+290s'), 'sealed, from a host that is 290 s ahead');
  await first.stop('SIGKILL');
  await startSidecar(t, { ...options, phase: 'enforcing' });
  // Only what was signed up to two seconds after the start may be a call that its own sidecar sends once more.
  await t.resolves(call('+4s'));
});

t.test('state that can not be kept is an error at start', async (t) => {
  const { options } = await target(t);
  const state = join(options.folder, 'state');
  await mkdir(state, { recursive: true });
  execFileSync('mkfifo', [join(state, 'marks.json')]);
  const fifo = await launchSidecar(t, { ...options, phase: 'enforcing' });
  t.equal((await fifo.exited).code, 78);
  t.match(fifo.stderr, /marks\.json is .*, expected a regular file or none/);

  const config = join(options.folder, 'sidecar.yaml');
  await writeFile(
    config,
    (await readFile(config, 'utf8')).replace('state: state', 'state: /proc/self/state'),
  );
  const binary = join(import.meta.dirname, '../../../dist/countersign-enforcing');
  const proc = spawnSync(binary, ['--config', config], { encoding: 'utf8', timeout: 60_000 });
  t.equal(proc.status, 78);
  t.match(proc.stderr, /lies on a proc file system/);
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

/** Changes the header of the handover file that a stopped sidecar has left. */
async function changeHandover(file: string, change: Readonly<Record<string, unknown>>): Promise<void> {
  const bytes = await readFile(file);
  const at = bytes.indexOf('\n') + 1;
  const headerEnd = at + 4 + bytes.readUInt32LE(at);
  const header = JSON.parse(bytes.toString('utf8', at + 4, headerEnd)) as Record<string, unknown>;
  const text = Buffer.from(`${JSON.stringify({ ...header, ...change })}\n`);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(text.length);
  const content = Buffer.concat([bytes.subarray(0, at), length, text]);
  const end = Buffer.alloc(4);
  end.writeUInt32LE(crc32(content));
  await writeFile(file, Buffer.concat([content, end]));
}

t.test('a caller that has used up its part of the replay memory is refused, others are not', async (t) => {
  const { options, inbound, key } = await target(t);
  const first = await startSidecar(t, { ...options, phase: 'enforcing' });
  t.equal(await first.stop(), 0);
  // As many calls as the memory takes; to make them would take hours.
  const minutes = [{ minute: Math.floor(now() / 60), entries: 0, callers: { 'main-backend': 16_000_000 } }];
  await changeHandover(join(options.folder, 'state/replay.bin'), { minutes });
  const second = await startSidecar(t, { ...options, phase: 'enforcing' });
  const call = () => buildSigned({ ...key, host: 'npu-worker', target: '/api/status/1' });
  const refused = await exchange(t, inbound, call().bytes);
  t.equal(refused.reason, 'replay-memory-full');
  t.equal(refused.status, 503);
  const other = await outboundKey(join(options.folder, '../ai-stack/keyring.json'), 'npu-worker');
  const models = buildSigned({ ...other, host: 'npu-worker', target: '/api/models' });
  t.equal((await exchange(t, inbound, models.bytes)).status, 200, 'what another caller is guaranteed stays');
  t.equal((await exchange(t, inbound, models.bytes)).reason, 'replayed');
  const health = 'GET /api/health HTTP/1.1\r\nHost: npu-worker\r\n\r\n';
  t.equal((await exchange(t, inbound, health)).status, 200, 'public routes stay open');
  t.equal(await second.stop(), 0);
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
