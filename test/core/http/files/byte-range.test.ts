import fc from 'fast-check';
import t from 'tap';
import { parseRange } from '../../../../core/http/files/byte-range.ts';

const parts = (...ranges: [number, number][]) => ({
  kind: 'parts' as const,
  ranges: ranges.map(([start, end]) => ({ start, end })),
});

t.test('reads ranges as RFC 9110 §14 has them', async (t) => {
  const cases: [string | undefined, unknown][] = [
    [undefined, { kind: 'whole' }],
    ['bytes=0-99', parts([0, 99])],
    ['bytes=0-', parts([0, 999])],
    ['bytes=999-', parts([999, 999])],
    ['bytes=-1', parts([999, 999])],
    ['bytes=-5000', parts([0, 999])],
    ['bytes=500-5000', parts([500, 999])],
    ['Bytes=0-0', parts([0, 0])],
    ['bytes=0-0, -1', parts([0, 0], [999, 999])],
    ['bytes= 5-6 ,, 1-2', parts([5, 6], [1, 2])],
    ['bytes=0-5,3-8', parts([0, 8])],
    ['bytes=0-1,8-9,2-7', parts([0, 9])],
    ['bytes=1000-', { kind: 'none' }],
    ['bytes=-0', { kind: 'none' }],
    ['bytes=1000-2000,5-6', parts([5, 6])],
    ['bytes=99999999999999999999999-', { kind: 'none' }],
    ['bytes=5-4', { kind: 'whole' }],
    ['bytes=-', { kind: 'whole' }],
    ['bytes=', { kind: 'whole' }],
    ['bytes=a-b', { kind: 'whole' }],
    ['bytes=0x1-2', { kind: 'whole' }],
    ['bytes=1 -2', { kind: 'whole' }],
    ['items=0-5', { kind: 'whole' }],
    [`bytes=${Array.from({ length: 17 }, (_, n) => `${n * 3}-${n * 3}`).join()}`, { kind: 'whole' }],
  ];
  for (const [field, expected] of cases) t.strictSame(parseRange(field, 1000), expected, String(field));
  t.strictSame(parseRange('bytes=0-', 0), { kind: 'none' }, 'an empty file has no byte to send');
});

t.test(
  'whatever is asked, ranges lie inside the content, apart from one another, never longer than it',
  async () => {
    const bound = fc.option(fc.nat(120), { nil: '' });
    const field = fc
      .array(fc.tuple(bound, bound), { maxLength: 18 })
      .map((specs) => `bytes=${specs.map((s) => s.join('-')).join()}`);
    fc.assert(
      fc.property(fc.oneof(field, fc.string()), fc.nat(100), (text, size) => {
        const request = parseRange(text, size);
        if (request.kind !== 'parts') return true;
        const sorted = request.ranges.toSorted((a, b) => a.start - b.start);
        return (
          sorted.length > 0 &&
          sorted.every(
            ({ start, end }, index) =>
              start >= 0 && start <= end && end < size && start > (sorted[index - 1]?.end ?? -1),
          )
        );
      }),
      { numRuns: 3000 },
    );
  },
);
