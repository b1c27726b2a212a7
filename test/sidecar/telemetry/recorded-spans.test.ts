import t from 'tap';
import { addSpans, type RecordedSpan } from '../../../sidecar/telemetry/recorded-spans.ts';

const hour = 3_600_000;
const span = (fromHours: number, toHours: number, phase: RecordedSpan['phase'] = 'logging') => ({
  phase,
  fromMs: fromHours * hour,
  toMs: toHours * hour,
});

t.test('spans of one phase that overlap or touch are one; a gap stays a gap', async (t) => {
  t.same(addSpans([span(0, 2), span(5, 6)], [span(1, 3), span(3, 4)], 6 * hour), [span(0, 4), span(5, 6)]);
  t.same(
    addSpans([span(0, 3)], [span(2, 4, 'enforcing'), span(3, 5)], 6 * hour),
    [span(0, 5), span(2, 4, 'enforcing')],
    'a swap has both at once',
  );
  t.same(addSpans([span(2, 2)], [span(4, 3)], 6 * hour), [], 'a clock that was set back counts nothing');
});

t.test('old spans are forgotten, and many are bounded', async (t) => {
  t.same(addSpans([span(0, 1)], [span(199, 200)], 200 * hour), [span(199, 200)]);
  const restarts = Array.from({ length: 1000 }, (_, index) => span(index / 100, (index + 0.5) / 100));
  const kept = addSpans(restarts, [], 10 * hour);
  t.equal(kept.length, 200);
  t.equal(kept.at(-1)?.toMs, restarts.at(-1)?.toMs);
});
