import t from 'tap';
import { hopBlocker, pairHops } from '../../../sidecar/readiness/hops.ts';
import type { HostState } from '../../../sidecar/telemetry/documents.ts';
import { observedSchema, type statusSchema } from '../../../sidecar/telemetry/documents.ts';
import type { ObservedHop } from '../../../sidecar/telemetry/hop-documents.ts';
import { observedRow } from '../../support/gathered-fleet.ts';
import { fleetOf } from '../../support/keyrings.ts';

const now = Date.parse('2026-11-23T12:00:00Z');
const hour = 3_600_000;
const fleet = fleetOf({ 'main-backend': ['172.16.168.20'], 'npu-worker': ['172.16.168.22'] });

/** So often, from so many hours ago to so many. */
const seen = (count: number, from: number, to: number) => ({
  count,
  first: new Date(now - from * hour).toISOString(),
  last: new Date(now - to * hour).toISOString(),
});

function host(
  service: string,
  address: string,
  hops: Partial<ObservedHop>[],
  rows: object[] = [],
): HostState {
  return {
    from: service,
    status: { service, host: address } as ReturnType<typeof statusSchema.parse>,
    observed: observedSchema.parse({
      since: new Date(now - 48 * hour).toISOString(),
      phase: 'logging',
      observations: rows,
      hops,
    }),
  };
}

const caller = (...hops: Partial<ObservedHop>[]) =>
  host(
    'main-backend',
    '172.16.168.20',
    hops.map((hop) => ({ direction: 'outbound', peer: 'npu-worker', host: '172.16.168.22', ...hop })),
  );
const callee = (...hops: Partial<ObservedHop>[]) =>
  host(
    'npu-worker',
    '172.16.168.22',
    hops.map((hop) => ({ direction: 'inbound', peer: 'main-backend', host: '172.16.168.20', ...hop })),
  );
const problems = (...states: HostState[]) =>
  pairHops(states, fleet, now).map(({ problem }) => problem ?? 'none');

t.test('a hop is ready with sealed calls only', (t) => {
  const sealed = { sealed: seen(10, 30, 1) };
  t.strictSame(problems(caller(sealed), callee(sealed)), ['none']);
  const [hop] = pairHops([caller(sealed), callee({ sealed: seen(9, 29, 1) })], fleet, now);
  t.match(hop, { caller: 'main-backend', callee_host: '172.16.168.22', sealed: 10, plain: 0 });
  t.equal(hopBlocker(hop!), undefined);
  t.end();
});

t.test('what either end saw counts', (t) => {
  const sealed = { sealed: seen(10, 30, 1) };
  t.strictSame(problems(caller(sealed), callee({ ...sealed, plain: seen(1, 2, 2) })), ['sealed-then-plain']);
  t.strictSame(problems(caller({ ...sealed, unproven: seen(1, 2, 2) }), callee(sealed)), ['peer-unproven']);
  t.end();
});

t.test('plain calls before the first sealed one block for 24 hours', (t) => {
  t.strictSame(problems(callee({ sealed: seen(10, 3, 1), plain: seen(5, 20, 4) })), ['plain']);
  t.strictSame(problems(callee({ sealed: seen(10, 3, 1), plain: seen(5, 40, 25) })), ['none']);
  t.strictSame(problems(callee({ plain: seen(5, 20, 4) })), ['plain']);
  t.end();
});

t.test('names the failure, and what to do', (t) => {
  const [hop] = pairHops(
    [caller({ plain: seen(5, 2, 1), unproven: seen(5, 2, 1), failure: 'other-key' })],
    fleet,
    now,
  );
  t.equal(hop?.problem, 'peer-unproven');
  t.match(
    hopBlocker(hop!),
    /main-backend on 172\.16\.168\.20 to npu-worker on 172\.16\.168\.22 is not sealed \(peer-unproven\): .*another key.*keys status/,
  );
  t.end();
});

t.test('a pair of which nothing tells how its calls travelled is not sealed', (t) => {
  const rows = [observedRow({ last: new Date(now - hour).toISOString() })];
  const old = host('npu-worker', '172.16.168.22', [], rows);
  t.match(pairHops([old], fleet, now), [{ problem: 'never-sealed', detail: /version 0\.1/ }]);
  const longAgo = [observedRow({ last: new Date(now - 30 * hour).toISOString() })];
  t.strictSame(pairHops([host('npu-worker', '172.16.168.22', [], longAgo)], fleet, now), []);
  t.end();
});

t.test('a hop that nobody used for 24 hours stands in the way of nothing', (t) => {
  t.strictSame(problems(callee({ sealed: seen(10, 40, 30), plain: seen(1, 50, 45) })), []);
  t.end();
});
