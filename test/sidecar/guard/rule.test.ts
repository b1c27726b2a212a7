import fc from 'fast-check';
import t from 'tap';
import { GatedReport } from '../../../sidecar/guard/gated-report.ts';
import {
  breaking,
  type CallerTotals,
  counts,
  type Failure,
  judge as judgeAll,
  lateCallCounts,
  resemblesSeen,
} from '../../../sidecar/guard/rule.ts';
import { reasons } from '../../../sidecar/terms/reasons.ts';

const kindOfCall = { callee: 'npu-worker', method: 'GET', path: '/api/status/*' };
const report = new GatedReport(
  {
    matrix: 'm',
    seen: ['main-backend', 'ai-stack'].map((caller) => ({ caller, ...kindOfCall })),
    skew: [
      { caller: 'main-backend', callee: 'npu-worker', min_seconds: 250, max_seconds: 290 },
      { caller: 'ai-stack', callee: 'npu-worker', min_seconds: -2, max_seconds: 299 },
    ],
  },
  'g',
);
type Totals = ReadonlyMap<string, CallerTotals>;
const none: Totals = new Map();
const judge = (all: Totals, recent = none, ungated = none) => judgeAll({ all, recent, ungated });
const failure = (changes: Partial<Failure> = {}): Failure => ({
  caller: 'main-backend',
  callee: 'npu-worker',
  method: 'GET',
  template: '/api/status/*',
  reason: 'not-authorized',
  ...changes,
});
const totals = (...rows: [string, number, number][]) =>
  new Map(rows.map(([caller, allowed, failed]) => [caller, { allowed, failed }]));

t.test(
  'a failure counts only for a proven caller, method and template that were allowed and seen',
  async (t) => {
    t.ok(counts(failure(), report));
    t.notOk(counts(failure({ caller: 'frontend' }), report));
    t.notOk(counts(failure({ method: 'POST' }), report));
    t.notOk(counts(failure({ template: '/api/jobs/*' }), report));
    t.notOk(counts(failure({ callee: 'ai-stack' }), report));
    t.notOk(counts(failure({ caller: undefined, claimed: 'main-backend' }), report));
  },
);

t.test("attack: whatever a stranger sends in whoever's name, it never counts", async (t) => {
  for (const reason of Object.keys(reasons)) {
    const sent = failure({ caller: undefined, claimed: 'ai-stack', reason });
    t.notOk(counts(sent, report), reason);
    for (const skew of [-400, 310, 400]) t.notOk(lateCallCounts(sent, skew, report, new Map()), reason);
  }
  const mismatch = failure({ caller: undefined, claimed: 'main-backend', reason: 'signature-mismatch' });
  t.ok(resemblesSeen(mismatch, report), 'it is worth an alarm');
});

t.test('attack: replayed calls and changed bodies never count, not even of proven callers', async (t) => {
  for (const reason of ['replayed', 'digest-mismatch', 'upstream-failed', 'content-too-large', 'nonsense'])
    t.notOk(counts(failure({ reason }), report), reason);
});

t.test('a call outside the window counts only if the measured skew of its caller explains it', async (t) => {
  const late = (claimed: string) => failure({ caller: undefined, claimed, reason: 'outside-window' });
  const noSkew = new Map<string, number>();
  t.ok(lateCallCounts(late('main-backend'), 310, report, noSkew));
  t.notOk(lateCallCounts(late('main-backend'), -310, report, noSkew), 'its clock is off to the other side');
  t.notOk(lateCallCounts(late('frontend'), 310, report, noSkew), 'never seen');
  t.notOk(
    lateCallCounts(late('ai-stack'), 310, report, noSkew),
    'one call that somebody delayed explains nothing',
  );
  t.ok(
    lateCallCounts(late('ai-stack'), 310, report, new Map([['ai-stack', 260]])),
    'the mean since then does',
  );
  t.ok(lateCallCounts(late('ai-stack'), -310, report, new Map([['ai-stack', -260]])));
});

t.test('more than 5 % of at least 100 calls of several callers is failing', async (t) => {
  const kind = (...rows: [string, number, number][]) => judge(totals(...rows)).kind;
  t.equal(kind(), 'too-few');
  t.equal(kind(['a', 40, 9], ['b', 40, 10]), 'too-few', '99 calls');
  t.equal(kind(['a', 40, 10], ['b', 40, 10]), 'failing', '100 calls');
  t.equal(kind(['a', 475, 25], ['b', 475, 25]), 'well', '5 % is not above 5 %');
  t.equal(kind(['a', 474, 26], ['b', 474, 26]), 'failing');
  t.equal(kind(['a', 900, 100]), 'single-caller');
  t.equal(kind(['a', 0, 1000], ['b', 1000, 0]), 'single-caller');
  t.equal(kind(['a', 0, 1000], ['b', 999, 1]), 'single-caller', 'a stray failure of another changes nothing');
});

t.test('attack: one caller alone never makes it fail, however it mixes calls and failures', async (t) => {
  const count = fc.nat({ max: 10_000 });
  const others = fc.array(fc.nat({ max: 2000 }), { maxLength: 5 });
  const kinds = new Set<string>();
  fc.assert(
    fc.property(count, count, others, (allowed, failed, calls) => {
      const rows = calls.map((each, index): [string, number, number] => [`b${index}`, each, 0]);
      const all = totals(['a', allowed, failed], ...rows);
      const { kind } = judge(all, all);
      kinds.add(kind);
      return !breaking.has(kind);
    }),
  );
  t.ok(kinds.has('single-caller'));
});

t.test('under another matrix than the gated one, the refusals of one caller are enough', async (t) => {
  const kind = (...rows: [string, number, number][]) => judge(none, none, totals(...rows)).kind;
  t.equal(kind(['a', 0, 305]), 'ungated-refusals');
  t.equal(kind(['a', 0, 10]), 'ungated-refusals');
  t.equal(kind(['a', 0, 9]), 'too-few');
  t.equal(kind(['a', 200, 10]), 'too-few', '5 % of its calls');
  t.equal(kind(['a', 5000, 0], ['b', 100, 10]), 'ungated-refusals', 'of its own calls');
});

t.test('nothing but refusals for eight seconds, of several callers, is found at once', async (t) => {
  const kind = (...rows: [string, number, number][]) => judge(none, totals(...rows)).kind;
  t.equal(kind(['a', 0, 15], ['b', 0, 5]), 'total-refusal');
  t.equal(kind(['a', 0, 15], ['b', 1, 5]), 'too-few', 'a call was allowed');
  t.equal(kind(['a', 0, 16], ['b', 0, 4]), 'too-few', 'attack: hardly another caller');
  t.equal(kind(['a', 0, 500]), 'too-few', 'attack: one caller alone');
  t.equal(kind(['a', 0, 9], ['b', 0, 10]), 'too-few', '19 calls');
});
