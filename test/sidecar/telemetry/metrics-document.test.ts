import t from 'tap';
import { readMetrics } from '../../../sidecar/telemetry/metrics-document.ts';
import { callRecord, deniedRecord } from '../../support/call-record.ts';
import { testHost } from '../../support/host-states.ts';

t.test('reads back what a sidecar writes', async (t) => {
  const host = testHost(t, 'npu-worker', '172.16.168.22');
  const route = 'GET /a"\\b/*';
  const rule = `main-backend: ${route}`;
  const allowed = { allowed: true, caller: 'main-backend', kid: 'main-backend/3', rule } as const;
  host.record(
    callRecord({ verdict: allowed }),
    callRecord({ verdict: allowed, status: 502 }),
    deniedRecord(),
  );
  host.telemetry.handshake('inbound', 'main-backend', undefined, 'other-key');
  const { metrics } = await host.read();
  t.same(
    metrics?.calls.map(({ verdict, reason, code, count }) => [verdict, reason, code, count]),
    [
      ['allowed', '', 200, 1],
      ['allowed', '', 502, 1],
      ['denied', 'not-authorized', 403, 1],
    ],
  );
  t.match(metrics?.routes, [
    { direction: 'inbound', peer: 'main-backend', route, code: 200, count: 1 },
    { route, code: 502, count: 1 },
    { route: 'none', code: 403 },
  ]);
  const [times] = metrics?.routeDurations ?? [];
  t.equal(times?.route, route);
  t.equal(times?.seconds.bounds.at(-1), Number.POSITIVE_INFINITY);
  t.equal(times?.seconds.cumulative.at(-1), 2);
  t.match(metrics?.skew, [{ caller: 'main-backend', count: 3 }]);
  t.match(metrics?.handshakes, [{ peer: 'main-backend', result: 'other-key', count: 1 }]);
});

t.test('reads OpenMetrics with exemplars, and skips what is no sample', async (t) => {
  const { calls, inFlight, durations } = readMetrics(
    [
      '# TYPE countersign_requests counter',
      'countersign_requests_total{direction="inbound",peer="a",verdict="allowed",reason="",code="200"} 7 # {trace_id="x"} 1 2',
      'countersign_in_flight{direction="inbound"} 3',
      'countersign_in_flight{direction="outbound"} 4',
      'countersign_request_duration_seconds_bucket{le="+Inf",direction="inbound",peer="a"} 7',
      'no sample at all {',
      '# EOF',
    ].join('\n'),
  );
  t.match(calls, [{ peer: 'a', count: 7, code: 200 }]);
  t.equal(inFlight, 3);
  t.equal(durations.length, 1);
  t.same(readMetrics('').calls, []);
});
