import t from 'tap';
import { denialsDocument } from '../../../sidecar/telemetry/documents.ts';
import { renderMetrics } from '../../../sidecar/telemetry/metrics.ts';
import { mostRoutes } from '../../../sidecar/telemetry/route-counts.ts';
import { mergeSnapshots } from '../../../sidecar/telemetry/snapshot.ts';
import { Telemetry, type TelemetryOptions } from '../../../sidecar/telemetry/telemetry.ts';
import { callRecord, deniedRecord, strangerRecord } from '../../support/call-record.ts';
import { memoryLogger } from '../../support/log-lines.ts';

const info = { phase: 'logging', version: '1.2.3' };

function open(t: { teardown(done: () => void): void }, options: Partial<TelemetryOptions> = {}) {
  const { logger, lines } = memoryLogger();
  const telemetry = new Telemetry({
    service: 'npu-worker',
    peers: ['main-backend', 'npu-worker'],
    logger,
    now: () => 1_764_000_000_000,
    ...options,
  });
  t.teardown(() => telemetry.close());
  return { telemetry, lines };
}

t.test('names every metric of the design, with its labels', async (t) => {
  const { telemetry } = open(t, {
    gauges: () => ({ replayEntries: 7, keyAges: [{ kid: 'main-backend/3', seconds: 60 }] }),
  });
  telemetry.record(callRecord());
  telemetry.record(deniedRecord());
  telemetry.record(callRecord({ direction: 'outbound', caller: 'npu-worker', callee: 'main-backend' }));
  telemetry.connections('inbound', 1);
  const text = await renderMetrics(telemetry.snapshot(), info);
  for (const line of [
    'countersign_requests_total{direction="inbound",peer="main-backend",verdict="allowed",reason="",code="200"} 1',
    'countersign_requests_total{direction="inbound",peer="main-backend",verdict="denied",reason="not-authorized",code="403"} 1',
    'countersign_requests_total{direction="outbound",peer="main-backend",verdict="allowed",reason="",code="200"} 1',
    'countersign_request_duration_seconds_bucket{le="0.001",direction="inbound",peer="main-backend"} 0',
    'countersign_request_duration_seconds_bucket{le="0.0025",direction="inbound",peer="main-backend"} 2',
    'countersign_request_duration_seconds_count{direction="inbound",peer="main-backend"} 2',
    'countersign_clock_skew_seconds_bucket{le="0",caller="main-backend"} 0',
    'countersign_clock_skew_seconds_bucket{le="1",caller="main-backend"} 2',
    'countersign_key_age_seconds{kid="main-backend/3"} 60',
    'countersign_key_uses_total{kid="main-backend/3"} 3',
    'countersign_time_to_first_byte_seconds_bucket{le="0.0025",direction="inbound",peer="main-backend"} 1',
    'countersign_time_to_first_byte_seconds_count{direction="inbound",peer="main-backend"} 1',
    'countersign_overhead_seconds_bucket{le="0.0001",direction="inbound",peer="main-backend"} 0',
    'countersign_overhead_seconds_bucket{le="0.00025",direction="inbound",peer="main-backend"} 2',
    'countersign_replay_entries 7',
    'countersign_connections{direction="inbound"} 1',
    'countersign_phase_info{phase="logging",version="1.2.3"} 1',
  ])
    t.ok(text.split('\n').includes(line), line);
});

t.test('a stranger cannot make labels: the peer is a fleet service or unknown', async (t) => {
  const { telemetry } = open(t);
  for (let i = 0; i < 500; i++)
    telemetry.record(strangerRecord({ claimed: `made-up-${i}`, kid: `made-up/${i}`, skewSeconds: 9 }));
  telemetry.record(strangerRecord({ claimed: 'main-backend' }));
  telemetry.record(callRecord({ caller: 'not-in-the-fleet' }));
  const text = await renderMetrics(telemetry.snapshot(), info);
  t.notMatch(text, /made-up/);
  t.match(
    text,
    /direction="inbound",peer="unknown",verdict="denied",reason="missing-signature",code="401"} 501/,
  );
  t.match(text, /direction="inbound",peer="unknown",verdict="allowed",reason="",code="200"} 1\n/);
  t.notMatch(text, /clock_skew_seconds_count\{caller="main-backend"/);
});

t.test('/denials has the fields of the design, newest first, 1,000 of them', async (t) => {
  let now = 1_764_000_000_000;
  const { telemetry } = open(t, { now: () => now++ });
  for (let i = 0; i < 1005; i++) telemetry.record(strangerRecord({ requestId: `s-${i}` }));
  telemetry.record(deniedRecord({ requestId: 'last' }));
  const { denials } = denialsDocument(telemetry.snapshot());
  t.equal(denials.length, 1000);
  t.match(denials[0], {
    request_id: 'last',
    time: '2025-11-24T16:00:01.005Z',
    direction: 'inbound',
    caller: 'main-backend',
    callee: 'npu-worker',
    method: 'DELETE',
    path: '/api/status/42',
    reason: 'not-authorized',
    detail: 'No rule allows main-backend DELETE /api/status/42.',
    rule: 'GET /api/status/*',
    expected: 'GET',
    received: 'DELETE',
  });
  t.match(denials[0]?.explanation, /nearest rule: GET \/api\/status\/\*/);
  t.equal(denials[1]?.caller, undefined, 'an unproven caller is not named');
  t.equal(denials[1]?.claimed, 'main-backend', 'what it claims stands apart');
  t.equal(denials[999]?.request_id, 's-6');
});

t.test('refusals of protocol and transport are counted and kept like denials', async (t) => {
  const { telemetry } = open(t);
  telemetry.record(
    callRecord({
      verdict: { refused: 'upstream-failed', detail: 'The app closed the connection.' },
      status: 502,
    }),
  );
  const text = await renderMetrics(telemetry.snapshot(), info);
  t.match(text, /peer="main-backend",verdict="denied",reason="upstream-failed",code="502"} 1/);
  t.match(denialsDocument(telemetry.snapshot()).denials, [{ reason: 'upstream-failed', status: 502 }]);
});

t.test('the log has denials in full up to a rate, then counts: none is lost', async (t) => {
  const { telemetry, lines } = open(t);
  for (let i = 0; i < 1000; i++) telemetry.record(strangerRecord({ requestId: `s-${i}` }));
  telemetry.record(deniedRecord({ requestId: 'of-a-service' }));
  telemetry.close();
  const full = lines.filter((line) => line.event === 'denial');
  const summaries = lines.filter((line) => line.event === 'denials-summary');
  t.match(full.at(-1), { request_id: 'of-a-service' }, 'noise from strangers hides no denial of a service');
  t.equal(full.length, 51);
  t.match(summaries, [
    {
      count: 950,
      denials: [{ direction: 'inbound', caller: 'unknown', reason: 'missing-signature', count: 950 }],
    },
  ]);
});

t.test('snapshots of workers cross threads and add up', async (t) => {
  const workers = [open(t, { worker: 1 }), open(t, { worker: 2 })].map(({ telemetry }) => telemetry);
  for (const telemetry of workers) {
    telemetry.record(callRecord());
    telemetry.record(callRecord({ path: '/api/status/43' }));
    telemetry.record(deniedRecord());
    telemetry.connections('outbound', 1);
  }
  const merged = mergeSnapshots(workers.map((telemetry) => structuredClone(telemetry.snapshot())));
  const text = await renderMetrics(merged, info);
  t.match(text, /peer="main-backend",verdict="allowed",reason="",code="200"} 4/);
  t.match(text, /countersign_clock_skew_seconds_count\{caller="main-backend"} 6/);
  t.match(text, /countersign_key_uses_total\{kid="main-backend\/3"} 6/);
  t.match(text, /countersign_connections\{direction="outbound"} 2/);
  t.match(text, /countersign_event_loop_utilization\{worker="2"}/);
  t.equal(merged.denials.length, 2);
  t.match(
    merged.rows.map(({ path, count }) => ({ path, count })),
    [
      { path: '/api/status/*', count: 4 },
      { path: '/api/status/*', count: 2 },
    ],
  );
  t.match(
    await renderMetrics(workers[0]!.snapshot(), info),
    /verdict="allowed",reason="",code="200"} 2/,
    'parts are untouched',
  );
});

t.test('calls are in flight from their start to their end, over all workers', async (t) => {
  const workers = [open(t, { worker: 1 }), open(t, { worker: 2 })].map(({ telemetry }) => telemetry);
  for (const telemetry of workers) for (let i = 0; i < 3; i++) telemetry.callStarted('inbound');
  workers[0]!.callStarted('outbound');
  workers[1]!.callEnded(callRecord());
  const text = await renderMetrics(mergeSnapshots(workers.map((each) => each.snapshot())), info);
  t.match(text, /^countersign_in_flight\{direction="inbound"\} 5$/m);
  t.match(text, /^countersign_in_flight\{direction="outbound"\} 1$/m);
  t.match(text, /^countersign_overhead_seconds_count\{direction="inbound",peer="main-backend"\} 1$/m);
});

t.test('calls are counted by the rule that allowed them and by the status of the answer', async (t) => {
  const { telemetry } = open(t);
  telemetry.record(callRecord());
  telemetry.record(callRecord({ status: 500, endedAtMs: 1400 }));
  telemetry.record(callRecord({ status: 0 }));
  telemetry.record(deniedRecord());
  telemetry.record(
    callRecord({
      direction: 'outbound',
      caller: 'npu-worker',
      callee: 'main-backend',
      verdict: { allowed: true, rule: '' },
    }),
  );
  const text = await renderMetrics(telemetry.snapshot(), info);
  const of = 'direction="inbound",peer="main-backend",route="GET /api/status/*"';
  for (const line of [
    `countersign_route_requests_total{${of},code="200"} 1`,
    `countersign_route_requests_total{${of},code="500"} 1`,
    `countersign_route_requests_total{${of},code="0"} 1`,
    'countersign_route_requests_total{direction="inbound",peer="main-backend",route="none",code="403"} 1',
    'countersign_route_requests_total{direction="outbound",peer="main-backend",route="none",code="200"} 1',
    `countersign_route_duration_seconds_bucket{le="0.25",${of}} 2`,
    `countersign_route_duration_seconds_count{${of}} 3`,
    'countersign_request_duration_seconds_count{direction="inbound",peer="main-backend"} 4',
  ])
    t.ok(text.split('\n').includes(line), line);
});

t.test('a matrix of any size makes no more than a bounded number of routes, and loses no call', async (t) => {
  const { telemetry } = open(t);
  for (let i = 0; i < 3000; i++)
    telemetry.record(
      callRecord({
        verdict: { allowed: true, caller: 'main-backend', rule: `main-backend: GET /r/${i % 1000}` },
      }),
    );
  const text = await renderMetrics(telemetry.snapshot(), info);
  const lines = text.split('\n').filter((line) => line.startsWith('countersign_route_requests_total'));
  t.equal(lines.length, mostRoutes + 1);
  t.ok(lines.some((line) => line.includes('route="other"') && line.endsWith(` ${3 * (1000 - mostRoutes)}`)));
  t.match(text, /verdict="allowed",reason="",code="200"} 3000\n/);
});

t.test('OpenMetrics has the newest call of a sampled trace beside the bucket that it is in', async (t) => {
  const { telemetry } = open(t);
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
  const span = (spanId: string) => ({ traceId, spanId, parentId: '00f067aa0ba902b7', flags: 1 });
  telemetry.record(callRecord({ span: span('aaaaaaaaaaaaaaaa') }));
  telemetry.record(callRecord({ span: span('bbbbbbbbbbbbbbbb') }));
  telemetry.record(callRecord({ endedAtMs: 1100 }));
  const lines = (await renderMetrics(telemetry.snapshot(), info, 'openmetrics')).split('\n');
  const exemplar = lines.filter((line) => line.includes(' # {'));
  t.match(exemplar, [
    /^countersign_request_duration_seconds_bucket\{le="0.0025",.*\} 2 # \{trace_id="4bf92f3577b34da6a3ce929d0e0e4736",span_id="bbbbbbbbbbbbbbbb"\} 0.002 \d+(\.\d+)?$/,
    /^countersign_route_duration_seconds_bucket\{le="0.0025",.*\} 2 # \{trace_id=/,
  ]);
  t.equal(exemplar.length, 2);
  t.equal(lines.at(-2), '# EOF');
  t.ok(lines.includes('# TYPE countersign_requests counter'));
  t.ok(lines.some((line) => line.startsWith('countersign_requests_total{')));
  t.notOk(lines.some((line) => line.includes('_total_total')));
  t.notMatch(await renderMetrics(telemetry.snapshot(), info), / # \{/, 'Prometheus text has no exemplars');
});

t.test('attack: paths, methods and names of strangers make no series', async (t) => {
  const { telemetry } = open(t);
  const count = async () => (await renderMetrics(telemetry.snapshot(), info)).split('\n').length;
  telemetry.record(strangerRecord());
  telemetry.record(strangerRecord({ direction: 'outbound', callee: 'one' }));
  const before = await count();
  for (let i = 0; i < 1000; i++) {
    const odd = { method: `M${i}`, path: `/made-up/${i}`, claimed: `made-up-${i}`, requestId: `r${i}` };
    telemetry.record(strangerRecord(odd));
    telemetry.record(strangerRecord({ ...odd, direction: 'outbound', callee: `made-up-${i}` }));
  }
  t.equal(await count(), before);
});
