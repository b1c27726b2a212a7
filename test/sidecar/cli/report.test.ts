import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { probeAppPorts } from '../../../sidecar/cli/app-ports.ts';
import { reportText } from '../../../sidecar/cli/report-text.ts';
import { loadMatrix } from '../../../sidecar/config/authorization.ts';
import { loadFleet } from '../../../sidecar/config/fleet.ts';
import { readFrom } from '../../../sidecar/fleet-reader/from.ts';
import { assess, type Readiness } from '../../../sidecar/readiness/assess.ts';
import { type GatheredFleet, gatheredFleet, loggedSpan, observedRow } from '../../support/gathered-fleet.ts';
import { type Ran, runCountersign } from '../../support/run-countersign.ts';

async function report(fleet: GatheredFleet, ...args: string[]): Promise<Ran> {
  await fleet.write();
  return runCountersign(['report', '--from', fleet.hosts, '--authorization', fleet.authorization, ...args]);
}

async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** The same without a process. */
async function assessed(fleet: GatheredFleet): Promise<Readiness> {
  await fleet.write();
  const loaded = await loadFleet(fleet.fleet);
  const states = await readFrom([fleet.hosts]);
  return assess({
    states,
    fleet: loaded,
    matrix: await loadMatrix(fleet.authorization, loaded),
    intended: [],
    appPorts: await probeAppPorts(loaded, states),
    nowMs: Date.now(),
  });
}

t.test('says yes to a fleet that logged for a day without an unexplained denial', async (t) => {
  const fleet = await gatheredFleet(t);
  fleet.npuWorker.observed.skew = [
    {
      caller: 'main-backend',
      callee: 'npu-worker',
      count: 10,
      mean_seconds: 0.4,
      min_seconds: 0,
      max_seconds: 75,
    },
  ];
  const text = await report(fleet);
  t.equal(text.code, 0, text.stderr);
  t.match(text.stdout, /main-backend +127\.0\.0\.1 +logging +25\.0 h of 24\.0 h/);
  t.match(text.stdout, /main-backend +npu-worker +10 +10 +0\n/);
  t.match(text.stdout, /main-backend +npu-worker +0\.4 s +0\.0 s +75\.0 s/);
  t.match(text.stdout, /the clocks of main-backend and npu-worker were up to 75 s apart/);
  t.match(text.stdout, /1 of 1 pairs have the keys/);
  t.match(text.stdout, /permits: 3\n.*at main-backend: public: GET \/api\/health/);
  t.match(text.stdout, /Ready to enforce: yes\n$/);
  const json = await report(fleet, '--json');
  t.equal(json.code, 0);
  t.match(JSON.parse(json.stdout), { ready: true, blockers: [], never_seen: { services: [] } });
});

t.test('says no, and why, when something is missing', async (t) => {
  const cases: [string, (fleet: GatheredFleet) => void, RegExp][] = [
    [
      'too short a time',
      ({ npuWorker }) => {
        npuWorker.observed.recorded = [loggedSpan(1)];
      },
      /npu-worker on 127\.0\.0\.2 has logged for 60\.0 min of the last seven days; 24\.0 h are required/,
    ],
    [
      'a call without a rule',
      ({ npuWorker }) => {
        npuWorker.observed.observations.push(
          observedRow({ method: 'DELETE', verdict: 'denied', reason: 'not-authorized', count: 7 }),
        );
      },
      /7 × main-backend → npu-worker DELETE \/api\/status\/\* {2}not-authorized {2}\[unexplained\]/,
    ],
    [
      'a call that was allowed and is not any more',
      ({ npuWorker }) => {
        npuWorker.observed.observations.push(
          observedRow({ path: '/api/old', example: '/api/old', count: 2 }),
        );
      },
      /2 × main-backend → npu-worker GET \/api\/old {2}not-authorized/,
    ],
    [
      'an unsigned call, with the name that it claims set apart',
      ({ npuWorker }) => {
        npuWorker.observed.observations.push(
          observedRow({
            caller: undefined,
            claimed: 'main-backend',
            verdict: 'denied',
            reason: 'missing-signature',
          }),
        );
      },
      /10 × \(claims to be main-backend\) → npu-worker GET \/api\/status\/\* {2}missing-signature/,
    ],
    [
      'a key that the callee has not loaded',
      ({ npuWorker }) => {
        npuWorker.status.keys.inbound = { 'main-backend': [{ kid: 'main-backend/2' }] };
      },
      /main-backend on 127\.0\.0\.1 signs with main-backend\/3, which npu-worker on 127\.0\.0\.2 has not loaded/,
    ],
    [
      'another matrix',
      ({ npuWorker }) => {
        npuWorker.status.matrix = 'another';
      },
      /npu-worker on 127\.0\.0\.2 runs another authorization\.yaml/,
    ],
    [
      'a sidecar that is not ready',
      ({ mainBackend }) => {
        mainBackend.status.ready = false;
      },
      /main-backend on 127\.0\.0\.1 is not ready/,
    ],
    [
      'a sidecar that nobody read',
      ({ mainBackend }) => {
        mainBackend.status.host = '127.0.0.9';
      },
      /no sidecar of main-backend on 127\.0\.0\.1 was read/,
    ],
    [
      'an app that listens beyond loopback',
      ({ npuWorker }) => {
        npuWorker.status.app_exposed_on = ['0.0.0.0'];
      },
      /the app of npu-worker can be reached at 127\.0\.0\.2:3 past its sidecar/,
    ],
    [
      'no call at all',
      ({ npuWorker }) => {
        npuWorker.observed.observations = [];
      },
      /no call has been recorded/,
    ],
  ];
  for (const [name, change, expected] of cases) {
    const fleet = await gatheredFleet(t);
    change(fleet);
    const readiness = await assessed(fleet);
    t.equal(readiness.ready, false, name);
    const text = reportText(readiness);
    t.match(text, expected, name);
    t.match(text, /Ready to enforce: no\n$/);
  }
});

t.test('what is explained is in nobody’s way', async (t) => {
  const denied = { verdict: 'denied', reason: 'missing-signature', caller: undefined } as const;
  const fleet = await gatheredFleet(t);
  fleet.npuWorker.observed.observations.push(
    // Denied for want of a rule that the matrix has by now; denied long ago; meant to be denied; not the matrix's business.
    observedRow({
      method: 'POST',
      path: '/api/process',
      example: '/api/process',
      verdict: 'denied',
      reason: 'not-authorized',
    }),
    observedRow({ ...denied, last: new Date(Date.now() - 25 * 3_600_000).toISOString() }),
    observedRow({ ...denied, path: '/metrics', example: '/metrics', count: 3 }),
    observedRow({ verdict: 'denied', reason: 'upstream-failed' }),
    observedRow({ ...denied, path: '/api/health', example: '/api/health' }),
  );
  const intended = join(fleet.folder, 'intended.yaml');
  await writeFile(
    intended,
    'intended:\n  - { callee: npu-worker, request: GET /metrics, reason: missing-signature, why: a scanner }\n',
  );
  const { code, stdout, stderr } = await report(fleet, '--intended', intended);
  t.equal(code, 0, stdout + stderr);
  t.match(stdout, /GET \/metrics {2}missing-signature {2}\[intended: a scanner\]/);
  t.match(stdout, /GET \/api\/status\/\* {2}missing-signature {2}\[settled\]/);
  t.match(stdout, /20 calls were denied when they were made, and are allowed by now/);
  t.equal((await assessed(fleet)).ready, false, 'without the file it is not explained');

  await writeFile(intended, 'intended:\n  - { callee: npu-worker, request: GET metrics, why: x }\n');
  const bad = await report(fleet, '--intended', intended);
  t.equal(bad.code, 78);
  t.match(bad.stderr, /intended\.yaml:2:\d+: intended\.0\.request: found "GET metrics"/);
});

t.test('the time that must be logged is a rule, not an option', async (t) => {
  const fleet = await gatheredFleet(t);
  fleet.npuWorker.observed.recorded = [loggedSpan(23)];
  for (const option of ['--min-duration', '--gate-duration'])
    t.match(await report(fleet, option, '1s'), { code: 64, stderr: /unknown option/ });
  t.equal((await report(fleet)).code, 1);
});

t.test('only what logged lately, and is told of now, is evidence', async (t) => {
  const ago = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString();
  const cases: [string, (npuWorker: GatheredFleet['npuWorker']) => void, RegExp | undefined][] = [
    [
      'status of 18 minutes ago',
      ({ status }) => Object.assign(status, { gathered_at: ago(18) }),
      /its status was gathered 18 min ago; expected 15 min at most/,
    ],
    [
      'observations of 18 minutes ago',
      ({ observed }) => Object.assign(observed, { gathered_at: ago(18) }),
      /its observed was gathered 18 min ago/,
    ],
    ['14 minutes ago', ({ status }) => Object.assign(status, { gathered_at: ago(14) }), undefined],
    [
      'tomorrow',
      ({ status }) => Object.assign(status, { gathered_at: ago(-60) }),
      /its status was gathered in the future/,
    ],
    ['no time', ({ status }) => delete status.gathered_at, /its status does not say when it was gathered/],
    [
      'another phase',
      ({ status, observed }) => {
        status.phase = 'enforcing';
        observed.phase = 'enforcing';
      },
      /npu-worker on 127\.0\.0\.2 runs the enforcing binary; only a sidecar that logs/,
    ],
    [
      'two phases',
      ({ observed }) => Object.assign(observed, { phase: 'enforcing' }),
      /its status is of the logging phase, its observed of the enforcing phase/,
    ],
    [
      'a day of logging eight days ago',
      ({ observed }) => Object.assign(observed, { recorded: [loggedSpan(30, 8 * 24), loggedSpan(1)] }),
      /has logged for 60\.0 min of the last seven days/,
    ],
    [
      'a day of logging in three parts',
      ({ observed }) =>
        Object.assign(observed, { recorded: [loggedSpan(12, 60), loggedSpan(8, 30), loggedSpan(5)] }),
      undefined,
    ],
    [
      'the same hours twice',
      ({ observed }) => Object.assign(observed, { recorded: [loggedSpan(13), loggedSpan(13)] }),
      /has logged for 1[23]\.\d h/,
    ],
  ];
  for (const [name, change, expected] of cases) {
    const fleet = await gatheredFleet(t);
    change(fleet.npuWorker);
    const { ready, blockers } = await assessed(fleet);
    t.equal(ready, expected === undefined, `${name}: ${blockers.join('; ')}`);
    if (expected !== undefined) t.match(blockers.join('\n'), expected, name);
  }
});

t.test('a refusal is settled only when the required time was logged since', async (t) => {
  const fleet = await gatheredFleet(t);
  const { observed } = fleet.npuWorker;
  observed.recorded = [loggedSpan(20, 30), loggedSpan(10)];
  observed.observations.push(
    observedRow({
      caller: undefined,
      claimed: 'main-backend',
      verdict: 'denied',
      reason: 'missing-signature',
      count: 5000,
      last: new Date(Date.now() - 32 * 3_600_000).toISOString(),
    }),
  );
  t.match(
    (await assessed(fleet)).blockers,
    [/5000 recorded calls of 1 kinds would be refused/],
    'it came 12 logged hours ago',
  );
  observed.recorded = [loggedSpan(31)];
  t.equal((await assessed(fleet)).ready, true);
});

t.test('hosts that enforce already do not keep the others waiting', async (t) => {
  const fleet = await gatheredFleet(t);
  for (const document of [fleet.mainBackend.status, fleet.mainBackend.observed]) document.phase = 'enforcing';
  fleet.mainBackend.observed.recorded = [];
  t.equal((await report(fleet)).code, 1);
  t.equal((await report(fleet, '--only', '127.0.0.2')).code, 0);
  t.match(await report(fleet, '--only', '127.0.0.3'), { code: 64, stderr: /expected hosts of the fleet/ });
});

t.test('tries to reach every app past its sidecar', async (t) => {
  const fleet = await gatheredFleet(t);
  const server: Server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as { port: number };
  await writeFile(fleet.fleet, (await readFile(fleet.fleet, 'utf8')).replace('app: 3', `app: ${port}`));
  t.match(
    reportText(await assessed(fleet)),
    new RegExp(`the app of npu-worker can be reached at 127\\.0\\.0\\.2:${port} past its sidecar`),
  );
  t.match(reportText(await assessed(fleet)), /this machine listens on 0\.0\.0\.0/);
});

t.test('sources that cannot be read are named', async (t) => {
  const fleet = await gatheredFleet(t);
  const none = await runCountersign([
    'report',
    '--from',
    join(fleet.folder, 'nowhere'),
    '--authorization',
    fleet.authorization,
  ]);
  t.equal(none.code, 1);
  t.match(none.stderr, /--from .*nowhere: found nothing there, expected/);
  const closed = await runCountersign([
    'report',
    '--from',
    `http://127.0.0.1:${await closedPort()}`,
    '--authorization',
    fleet.authorization,
  ]);
  t.equal(closed.code, 1);
  t.match(closed.stderr, /found no answer \(ECONNREFUSED\)/);
  const bad = join(fleet.folder, 'bad.json');
  await writeFile(bad, '{"observations": [{"direction": "sideways"}], "since": 4, "phase": "logging"}');
  const broken = await runCountersign(['report', '--from', bad, '--authorization', fleet.authorization]);
  t.equal(broken.code, 1);
  t.match(broken.stderr, /bad\.json with since/);
});

t.test('a hop that is not sealed stands in the way, with its reason', async (t) => {
  const fleet = await gatheredFleet(t);
  const minute = new Date(Date.now() - 60_000).toISOString();
  const [hop] = fleet.mainBackend.observed.hops;
  Object.assign(hop as object, {
    plain: { count: 2, first: minute, last: minute },
    unproven: { count: 2, first: minute, last: minute },
    failure: 'no-tls',
  });
  const text = await report(fleet);
  t.equal(text.code, 1);
  t.match(text.stdout, /main-backend 127\.0\.0\.1 +npu-worker 127\.0\.0\.2 +10 +2 +2 +sealed-then-plain/);
  t.match(text.stdout, /is not sealed \(sealed-then-plain\): .*it does not speak TLS/s);
});
