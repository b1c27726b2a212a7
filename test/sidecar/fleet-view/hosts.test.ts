import t from 'tap';
import type { Fleet } from '../../../sidecar/config/fleet.ts';
import { hosts } from '../../../sidecar/fleet-view/hosts.ts';
import type { HostState } from '../../../sidecar/telemetry/documents.ts';
import type { MetricsDocument } from '../../../sidecar/telemetry/metrics-document.ts';
import { callRecord, deniedRecord } from '../../support/call-record.ts';
import { testHost } from '../../support/host-states.ts';

const at = (seconds: number, ...hosts: HostState[]) => ({ takenAtMs: seconds * 1000, hosts });
const failure = (refused: 'upstream-failed' | 'upstream-timeout', status: number) =>
  callRecord({ verdict: { refused, detail: 'x' }, disposition: 'refused', status });

t.test('rates, success and times are those between two snapshots', async (t) => {
  const host = testHost(t, 'npu-worker', '172.16.168.22');
  host.record(callRecord(), callRecord());
  const before = await host.read({ uptime_seconds: 100 });
  host.record(callRecord(), callRecord({ status: 503 }), deniedRecord(), callRecord({ endedAtMs: 1400 }));
  const after = await host.read({ uptime_seconds: 102 });
  const [row] = hosts(at(0, before), at(2, after)).hosts;
  t.match(row, {
    service: 'npu-worker',
    host: '172.16.168.22',
    health: 'ready',
    phase: 'logging',
    version: '1.2.3',
    app: 'up',
    inbound: { calls: 4, per_second: 2, success_rate: 0.75, denied: 1, denied_per_second: 0.5 },
    outbound: { calls: 0, per_second: 0 },
  });
  t.ok((row?.inbound?.p50_seconds ?? 0) <= 0.0025, String(row?.inbound?.p50_seconds));
  t.ok((row?.inbound?.p99_seconds ?? 0) > 0.25, String(row?.inbound?.p99_seconds));
  t.ok(Math.abs((row?.skew_seconds ?? 0) - 0.4) < 1e-9);
  t.notOk('success_rate' in (row?.outbound ?? {}), 'no share of no calls');
});

t.test('one snapshot, and a sidecar that was started in between, count from the start', async (t) => {
  const host = testHost(t, 'npu-worker', '172.16.168.22');
  host.record(...Array.from({ length: 10 }, () => callRecord()));
  const once = await host.read({ uptime_seconds: 5 });
  t.match(hosts(undefined, at(1, once)).hosts, [{ inbound: { calls: 10, per_second: 2 } }]);
  const old = await host.read({ uptime_seconds: 900 });
  t.match(hosts(at(0, old), at(9, once)).hosts, [{ inbound: { calls: 10, per_second: 2 } }]);
});

t.test('an app that is down or slow shows', async (t) => {
  const app = async (status: object, ...calls: Parameters<typeof callRecord>[0][]) => {
    const host = testHost(t, 'npu-worker', '172.16.168.22');
    host.record(...calls.map((changes) => callRecord(changes)));
    return hosts(undefined, at(1, await host.read(status))).hosts[0]?.app;
  };
  const late = { firstByteAtMs: 3900, endedAtMs: 4000 };
  t.equal(await app({}), 'up');
  t.equal(await app({ app_listens: undefined }), 'unknown');
  t.equal(await app({ app_listens: undefined }, {}), 'up', 'it has answered');
  t.equal(await app({ app_listens: false }, {}), 'down');
  t.equal(await app({}, failure('upstream-failed', 502)), 'down');
  t.equal(await app({}, failure('upstream-failed', 502), {}), 'up', 'it answers others');
  t.equal(await app({}, failure('upstream-timeout', 504), {}), 'slow');
  t.equal(await app({}, late, late, {}), 'slow', 'half of the answers take long');
  const hanging = await testHost(t, 'npu-worker', '172.16.168.22').read();
  const metrics = { ...(hanging.metrics as MetricsDocument), inFlight: 2 };
  t.equal(hosts(undefined, at(1, { ...hanging, metrics })).hosts[0]?.app, 'slow', 'no call ends');
});

t.test('every host of fleet.yaml has a row, also one that was not read', async (t) => {
  const fleet: Fleet = {
    services: new Map([
      ['npu-worker', { name: 'npu-worker', hosts: ['10.0.0.1', '10.0.0.2'], inbound: 1, app: 2 }],
      ['control', { name: 'control', hosts: ['10.0.0.3'] }],
    ]),
    coveredFields: [],
    operators: [],
    hash: 'f',
  };
  const read = await testHost(t, 'npu-worker', '10.0.0.2').read({ ready: false });
  const control = await testHost(t, 'control', '10.0.0.3').read();
  const foreign = await testHost(t, 'ai-stack', '10.0.0.9').read();
  const silent = {
    from: '10.0.0.1:1',
    target: { service: 'npu-worker', host: '10.0.0.1' },
    problem: 'connect ECONNREFUSED',
  };
  t.match(hosts(undefined, at(1, foreign, read, control, silent), fleet).hosts, [
    { host: '10.0.0.1', health: 'unreachable', problem: 'connect ECONNREFUSED', app: 'unknown' },
    { host: '10.0.0.2', health: 'not-ready' },
    { host: '10.0.0.3', app: 'none' },
    { service: 'ai-stack', host: '10.0.0.9' },
  ]);
  t.match(hosts(undefined, at(1, control), fleet).hosts[1], {
    health: 'unreachable',
    problem: 'it was not read',
  });
});

t.test('tells key age, sealed share and failed handshakes', async (t) => {
  const host = testHost(t, 'npu-worker', '172.16.168.22');
  host.telemetry.hopConnection('inbound', 'main-backend', true, 1);
  host.telemetry.hopConnection('outbound', 'ai-stack', false, 1);
  host.telemetry.hopConnection('inbound', undefined, false, 1);
  host.telemetry.handshake('outbound', 'ai-stack', '10.0.0.1', 'no-tls');
  host.telemetry.handshake('outbound', 'ai-stack', '10.0.0.1', 'proven');
  const state = await host.read({
    keys: {
      inbound: { 'main-backend': [{ kid: 'main-backend/2' }] },
      outbound: { 'ai-stack': { kid: 'npu-worker/1' } },
    },
  });
  const keyAges = [
    { kid: 'main-backend/2', seconds: 50 },
    { kid: 'npu-worker/1', seconds: 70 },
  ];
  const metrics = { ...(state.metrics as MetricsDocument), keyAges };
  t.match(hosts(undefined, at(1, { ...state, metrics })).hosts, [
    { sealed_share: 0.5, handshake_failures: 1, key_age_seconds: 70 },
  ]);
});
