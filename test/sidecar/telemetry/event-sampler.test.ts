import t from 'tap';
import { type EventBatch, EventSampler, mostInBatch } from '../../../sidecar/telemetry/event-sampler.ts';
import { callRecord, deniedRecord, strangerRecord } from '../../support/call-record.ts';

function sampler(t: { teardown(done: () => unknown): void }, random?: () => number) {
  const batches: EventBatch[] = [];
  const sampler = new EventSampler((batch) => batches.push(batch), random);
  t.teardown(() => sampler.close());
  return { sampler, batches };
}

t.test('tells of calls without what may be a secret, and of denials with their reason', async (t) => {
  const { sampler: one, batches } = sampler(t);
  one.add(callRecord({ path: '/reset/4f1c9a2b7d8e3f60a1b2' }), undefined, 0);
  one.add(deniedRecord({ hop: { sealed: true, host: 'x' } }), undefined, 1);
  one.add(strangerRecord(), 'main-backend', 2);
  one.flush();
  t.match(batches, [
    {
      skipped: 0,
      events: [
        { verdict: 'allowed', path: '/reset/*', status: 200, duration_seconds: 0.002, sealed: undefined },
        { verdict: 'denied', reason: 'not-authorized', rule: 'GET /api/status/*', sealed: true, status: 403 },
        { verdict: 'denied', reason: 'missing-signature', caller: undefined, claimed: 'main-backend' },
      ],
    },
  ]);
  one.flush();
  t.equal(batches.length, 1, 'nothing is sent when nothing has happened');
});

t.test('keeps a bounded sample, counts the rest, and lets no flood of calls hide a denial', async (t) => {
  const { sampler: one, batches } = sampler(t, () => 0);
  for (let n = 0; n < mostInBatch + 50; n++) one.add(callRecord({ requestId: `r-${n}` }), undefined, n);
  one.add(deniedRecord(), undefined, 9_999);
  one.flush();
  const [batch] = batches;
  t.equal(batch?.events.length, mostInBatch + 1);
  t.equal(batch?.skipped, 50);
  t.equal(batch?.events.at(-1)?.verdict, 'denied');
  t.ok(
    batch?.events.some((event) => event.request_id === `r-${mostInBatch + 49}`),
    'late calls have a chance too',
  );
});
