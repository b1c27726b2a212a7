import t from 'tap';
import { parseYaml } from '../../../config/load.ts';
import { compileMatrix } from '../../../sidecar/config/authorization.ts';
import { edges } from '../../../sidecar/fleet-view/edges.ts';
import { routes } from '../../../sidecar/fleet-view/routes.ts';
import type { HostState } from '../../../sidecar/telemetry/documents.ts';
import { callRecord, deniedRecord, strangerRecord } from '../../support/call-record.ts';
import { testHost } from '../../support/host-states.ts';

const yaml = `services:
  npu-worker:
    public: [GET /api/health]
    callers:
      main-backend: [GET /api/status/*, POST /api/process]
      ai-stack: [GET /api/status/*]
`;
const matrix = compileMatrix(parseYaml('authorization.yaml', yaml), undefined);
const at = (seconds: number, ...hosts: HostState[]) => ({ takenAtMs: seconds * 1000, hosts });
const rule = 'main-backend: GET /api/status/*';
const allowed = (changes = {}) =>
  callRecord({
    verdict: { allowed: true, caller: 'main-backend', kid: 'main-backend/3', rule },
    hop: { sealed: true, host: '172.16.168.20' },
    ...changes,
  });

t.test('routes: every rule, with the calls of all hosts of the callee', async (t) => {
  const [one, two] = [testHost(t, 'npu-worker', '10.0.0.1'), testHost(t, 'npu-worker', '10.0.0.2')];
  one.record(allowed(), allowed({ status: 500 }));
  two.record(allowed(), deniedRecord());
  const states = [await one.read(), await two.read()];
  const found = routes(undefined, at(1, ...states), matrix);
  t.match(found.routes, [
    { callee: 'npu-worker', caller: undefined, rule: 'GET /api/health', calls: 0, never_used: true },
    {
      caller: 'main-backend',
      rule: 'GET /api/status/*',
      calls: 3,
      never_used: false,
      last_used: /Z$/,
      traffic: { calls: 3, per_second: 0.03 },
    },
    { caller: 'main-backend', rule: 'POST /api/process', never_used: true, traffic: { calls: 0 } },
    { caller: 'ai-stack', never_used: true },
  ]);
  t.ok(Math.abs((found.routes[1]?.traffic.success_rate ?? 0) - 2 / 3) < 1e-9);
  t.ok(found.routes[1]?.traffic.p99_seconds);
  t.same(found.not_read, []);
  const later = routes(at(1, ...states), at(2, await one.read({ uptime_seconds: 101 })), matrix);
  t.match(later.routes[1], { calls: 2, traffic: { calls: 0 } }, 'nothing was called in the interval');
  t.equal(later.routes[1]?.never_used, false);
});

t.test('routes: what no sidecar was asked about is not called unused without saying so', async (t) => {
  t.same(routes(undefined, at(1), matrix).not_read, ['npu-worker']);
});

t.test('edges: used, never seen, not permitted and strangers', async (t) => {
  const host = testHost(t, 'npu-worker', '10.0.0.1', ['main-backend', 'npu-worker', 'ai-stack', 'frontend']);
  host.record(
    allowed(),
    allowed({ hop: { sealed: false, host: '172.16.168.20' } }),
    deniedRecord(),
    deniedRecord({
      caller: 'frontend',
      verdict: { allowed: false, caller: 'frontend', denial: { reason: 'not-authorized', detail: 'x' } },
    }),
    strangerRecord(),
  );
  const found = edges(undefined, at(1, await host.read()), matrix).edges;
  t.match(found, [
    { caller: 'ai-stack', state: 'never-seen', rules: 1, traffic: { calls: 0 } },
    { caller: 'frontend', state: 'not-permitted', rules: 0, denied: 1, reasons: { 'not-authorized': 1 } },
    {
      caller: 'main-backend',
      callee: 'npu-worker',
      state: 'used',
      rules: 2,
      allowed: 2,
      denied: 1,
      sealed_share: 0.5,
      last: /Z$/,
      traffic: { calls: 3, denied: 1, per_second: 0.03 },
    },
    { caller: 'unknown', state: 'stranger', rules: 1, denied: 1 },
  ]);
});

t.test(
  'edges: the caller tells where the callee was not read; unproven hosts are known to it alone',
  async (t) => {
    const caller = testHost(t, 'main-backend', '172.16.168.20');
    const out = allowed({
      direction: 'outbound',
      hop: { sealed: true, host: '10.0.0.1' },
      skewSeconds: undefined,
    });
    caller.record(out, {
      ...out,
      disposition: 'refused',
      status: 502,
      verdict: { allowed: false, denial: { reason: 'peer-unproven', detail: 'x' } },
    });
    const told = await caller.read();
    t.match(
      edges(undefined, at(1, told), matrix).edges.find((edge) => edge.caller === 'main-backend'),
      {
        state: 'used',
        allowed: 1,
        denied: 1,
        unproven: 1,
        sealed_share: 1,
      },
    );
    const callee = testHost(t, 'npu-worker', '10.0.0.1');
    callee.record(allowed());
    t.match(
      edges(undefined, at(1, told, await callee.read()), matrix).edges.find(
        (edge) => edge.caller === 'main-backend',
      ),
      { allowed: 1, denied: 0, unproven: 1, traffic: { calls: 1 } },
      'no call is counted twice',
    );
  },
);

t.test('edges: without /observed the counters since the start tell', async (t) => {
  const host = testHost(t, 'npu-worker', '10.0.0.1');
  host.record(allowed(), deniedRecord());
  const { observed: _left, ...state } = await host.read();
  t.match(edges(undefined, at(1, state), matrix).edges[1], {
    state: 'used',
    allowed: 1,
    denied: 1,
    reasons: { 'not-authorized': 1 },
  });
});
