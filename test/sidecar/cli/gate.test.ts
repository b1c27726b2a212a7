import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { readGateKey } from '../../../sidecar/cli/gate-key.ts';
import { readFrom } from '../../../sidecar/fleet-reader/from.ts';
import { gateProblems } from '../../../sidecar/readiness/verify-gate.ts';
import { type GatheredFleet, gatheredFleet, observedRow } from '../../support/gathered-fleet.ts';
import { type Ran, runCountersign } from '../../support/run-countersign.ts';

interface GatedFleet extends GatheredFleet {
  readonly gate: string;
  readonly key: string;
  readonly binary: string;
}

async function gated(t: { teardown(done: () => unknown): void }): Promise<GatedFleet> {
  const fleet = await gatheredFleet(t);
  const binary = join(fleet.folder, 'countersign-enforcing');
  await writeFile(binary, 'an executable');
  return { ...fleet, binary, gate: join(fleet.folder, 'gate.json'), key: join(fleet.folder, 'gate.key') };
}

async function make(fleet: GatedFleet, ...args: string[]): Promise<Ran> {
  await fleet.write();
  return runCountersign(
    [
      'report',
      '--from',
      fleet.hosts,
      '--authorization',
      fleet.authorization,
      '--gate',
      fleet.gate,
      '--gate-key',
      fleet.key,
    ].concat(['--enforcing-binary', fleet.binary, ...args]),
  );
}

async function verify(fleet: GatedFleet, ...args: string[]): Promise<Ran> {
  await fleet.write();
  return runCountersign(
    ['report', '--from', fleet.hosts, '--verify-gate', fleet.gate, '--gate-key', fleet.key].concat([
      '--enforcing-binary',
      fleet.binary,
      ...args,
    ]),
  );
}

/** The same check without a process. */
async function problemsOf(fleet: GatedFleet, nowMs = Date.now()): Promise<string[]> {
  const binary = createHash('sha256')
    .update(await readFile(fleet.binary))
    .digest('hex');
  return gateProblems({
    text: await readFile(fleet.gate, 'utf8'),
    key: await readGateKey(fleet.key),
    enforcing: [binary],
    states: await readFrom([fleet.hosts]),
    nowMs,
  });
}

t.test('a gate file holds the evidence, and the sidecars are checked against it', async (t) => {
  const fleet = await gated(t);
  const made = await make(fleet);
  t.equal(made.code, 0, made.stdout + made.stderr);
  const gate = JSON.parse(await readFile(fleet.gate, 'utf8'));
  t.match(gate, {
    purpose: 'countersign gate 2',
    matrix: fleet.npuWorker.status.matrix,
    fleet: fleet.npuWorker.status.fleet,
    sidecars: [
      { service: 'main-backend', outbound: { 'npu-worker': 'main-backend/3' } },
      { service: 'npu-worker', inbound: { 'main-backend': ['main-backend/3'] } },
    ],
    sealed: [
      {
        caller: 'main-backend',
        caller_host: '127.0.0.1',
        callee: 'npu-worker',
        callee_host: '127.0.0.2',
        calls: 10,
      },
    ],
    seen: [{ caller: 'main-backend', callee: 'npu-worker', method: 'GET', path: '/api/status/*' }],
  });
  t.equal(Date.parse(gate.expires) - Date.parse(gate.created), 24 * 3_600_000);
  t.equal((await stat(fleet.key)).mode & 0o777, 0o600);
  t.notMatch(await readFile(fleet.gate, 'utf8'), (await readFile(fleet.key, 'utf8')).trim());
  const verified = await verify(fleet);
  t.equal(verified.code, 0, verified.stdout + verified.stderr);
  t.match(verified.stdout, /gate\.json: go\n/);
});

t.test('a fleet that is not ready gets no gate file', async (t) => {
  const fleet = await gated(t);
  fleet.npuWorker.observed.observations.push(
    observedRow({ method: 'PUT', verdict: 'denied', reason: 'not-authorized' }),
  );
  const made = await make(fleet);
  t.equal(made.code, 1);
  await t.rejects(stat(fleet.gate), { code: 'ENOENT' });
});

t.test('any change to a gate file is found', async (t) => {
  const fleet = await gated(t);
  await make(fleet);
  const gate = JSON.parse(await readFile(fleet.gate, 'utf8'));
  const changes: [string, object][] = [
    ['a later expiry', { expires: new Date(Date.parse(gate.expires) + 1000).toISOString() }],
    ['another call', { seen: [...gate.seen, { caller: 'a', callee: 'b', method: 'GET', path: '/' }] }],
    ['another binary', { enforcing: ['0'.repeat(64)] }],
    ['another purpose', { purpose: 'countersign gate 1' }],
    ['a field more', { extra: true }],
    ['no MAC', { mac: '' }],
  ];
  for (const [name, change] of changes) {
    await writeFile(fleet.gate, JSON.stringify({ ...gate, ...change }));
    t.equal((await problemsOf(fleet)).length, 1, name);
  }
  await writeFile(fleet.gate, JSON.stringify(Object.fromEntries(Object.entries(gate).reverse())));
  t.same(await problemsOf(fleet), [], 'the order of the fields means nothing');
  await writeFile(fleet.key, `${Buffer.alloc(32, 7).toString('base64')}\n`);
  t.match(await verify(fleet), { code: 1, stdout: /the MAC does not match/ });
});

t.test('a gate file is for one state of the fleet and one executable', async (t) => {
  const fleet = await gated(t);
  await make(fleet);
  const { npuWorker, mainBackend } = fleet;
  const before = structuredClone({ npu: npuWorker.status, main: mainBackend.status });
  const cases: [() => void, RegExp][] = [
    [
      () => Object.assign(npuWorker.status, { matrix: 'x' }),
      /npu-worker on 127\.0\.0\.2 runs another authorization\.yaml/,
    ],
    [() => Object.assign(npuWorker.status, { fleet: 'x' }), /another fleet\.yaml/],
    [() => Object.assign(npuWorker.status, { host: '127.0.0.7' }), /127\.0\.0\.7 was not part of the report/],
    [() => Object.assign(npuWorker.status.keys, { inbound: {} }), /has no longer loaded main-backend\/3/],
    [
      () => Object.assign(mainBackend.status.keys, { outbound: { 'npu-worker': { kid: 'main-backend/4' } } }),
      /signs calls to npu-worker with main-backend\/4, not with main-backend\/3/,
    ],
  ];
  for (const [change, expected] of cases) {
    change();
    await fleet.write();
    t.match(await problemsOf(fleet), [expected]);
    Object.assign(npuWorker.status, structuredClone(before.npu));
    Object.assign(mainBackend.status, structuredClone(before.main));
  }
  await writeFile(fleet.binary, 'another executable');
  t.match(await verify(fleet), { code: 1, stdout: /the enforcing executable is/ });
});

t.test('a gate file ends after a day, and each wave reads its hosts again', async (t) => {
  const fleet = await gated(t);
  await make(fleet);
  const hour = 3_600_000;
  const made = Date.parse(JSON.parse(await readFile(fleet.gate, 'utf8')).created);
  t.match(await problemsOf(fleet, made + 24 * hour), [
    /the file expired at/,
    /main-backend .*its status was gathered 1440 min ago/,
    /npu-worker .*its status was gathered/,
  ]);
  const status = { gathered_at: new Date(made + 23 * hour).toISOString() };
  Object.assign(fleet.mainBackend.status, status);
  Object.assign(fleet.npuWorker.status, status);
  await fleet.write();
  t.same(await problemsOf(fleet, made + 23 * hour), []);
});

const faketime = '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1';

t.test(
  'the built program goes by the clock: a day later it refuses both the gate file and the evidence',
  { skip: existsSync(faketime) ? false : 'needs the package faketime' },
  async (t) => {
    const fleet = await gated(t);
    const later = { env: { PATH: process.env.PATH, LD_PRELOAD: faketime, FAKETIME: '+25h' } };
    await fleet.write();
    const report = ['report', '--from', fleet.hosts, '--authorization', fleet.authorization];
    const stale = await runCountersign(report, later);
    t.match(stale, { code: 1, stdout: /its status was gathered 150\d min ago; expected 15 min at most/ });
    t.equal((await make(fleet)).code, 0);
    const verify = ['report', '--from', fleet.hosts, '--verify-gate', fleet.gate, '--gate-key', fleet.key];
    const expired = await runCountersign([...verify, '--enforcing-binary', fleet.binary], later);
    t.match(expired, { code: 1, stdout: /the file expired at/ });
  },
);

t.test('a gate file allows no more than what was reported on', async (t) => {
  const fleet = await gated(t);
  // A rule that is gone by now: what it allowed does not count as seen.
  fleet.npuWorker.observed.observations.push(
    observedRow({
      path: '/api/old',
      example: '/api/old',
      last: new Date(Date.now() - 26 * 3_600_000).toISOString(),
    }),
  );
  fleet.mainBackend.status.phase = 'enforcing';
  fleet.mainBackend.observed.phase = 'enforcing';
  t.equal((await make(fleet, '--only', '127.0.0.2')).code, 0);
  const gate = JSON.parse(await readFile(fleet.gate, 'utf8'));
  t.same(
    gate.seen.map(({ path }: { path: string }) => path),
    ['/api/status/*'],
  );
  t.same(gate.calls, [{ caller: 'main-backend', callee: 'npu-worker', calls: 20, allowed: 20 }]);
  t.equal(gate.sidecars.length, 1);
  t.match(gate.sidecars[0], { host: '127.0.0.2', gathered_at: fleet.npuWorker.status.gathered_at as string });
  t.ok(gate.sidecars[0].logging_seconds >= 24 * 3600);
  t.match(await problemsOf(fleet), [/main-backend on 127\.0\.0\.1 was not part of the report/]);
});

t.test('the key must be private, and is not made by a check', async (t) => {
  const fleet = await gated(t);
  await make(fleet);
  await chmod(fleet.key, 0o640);
  t.match(await verify(fleet), { code: 78, stderr: /found mode 0640, expected 0600/ });
  t.match(await make(fleet), { code: 78 });
  const missing = { ...fleet, key: join(fleet.folder, 'none.key') };
  t.match(await verify(missing), { code: 78, stderr: /found no such file/ });
  await t.rejects(stat(missing.key), { code: 'ENOENT' });
});
