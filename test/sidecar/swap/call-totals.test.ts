import t from 'tap';
import { callTotals, failedShare, riseOfFailures } from '../../../sidecar/swap/call-totals.ts';

const line = (peer: string, verdict: string, reason: string, code: number, count: number) =>
  `countersign_requests_total{direction="inbound",peer="${peer}",verdict="${verdict}",reason="${reason}",code="${code}"} ${count}`;

t.test('counts failures of known peers, and nothing that a stranger can send', async (t) => {
  const text = [
    '# TYPE countersign_requests_total counter',
    line('main-backend', 'allowed', '', 200, 90),
    line('main-backend', 'allowed', '', 503, 4),
    line('main-backend', 'allowed', '', 404, 3),
    line('ai-stack', 'denied', 'upstream-failed', 502, 2),
    line('ai-stack', 'denied', 'peer-unproven', 200, 1),
    line('unknown', 'denied', 'missing-signature', 401, 5000),
    '',
  ].join('\n');
  t.same(callTotals(text), { calls: 100, failed: 6 });
  t.equal(failedShare(callTotals(text)), 0.06);
  t.equal(failedShare(callTotals('')), 0);
});

t.test('finds more failures than before only when they are clearly more, of enough calls', async (t) => {
  const first = { calls: 1000, failed: 500 };
  const after = (calls: number, failed: number, before = 0) =>
    riseOfFailures(first, { calls: 1000 + calls, failed: 500 + failed }, before);
  t.equal(after(99, 99), undefined);
  t.equal(after(100, 5), undefined);
  t.equal(after(100, 6), '6 of 100 calls failed (6.0 %), expected about 0.0 % as before');
  t.equal(after(200, 50, 0.2), undefined, 'as many failed before');
  t.match(after(200, 51, 0.2), /^51 of 200 calls failed \(25\.5 %\), expected about 20\.0 % as before/);
});
