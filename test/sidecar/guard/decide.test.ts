import t from 'tap';
import { decide, freshState, type GuardState, type Look } from '../../../sidecar/guard/decide.ts';

const day = 24 * 3_600_000;
const settings = { bakeMs: day, readyWithinMs: 60_000 };
const look = (changes: Partial<Look> = {}): Look => ({
  status: { phase: 'enforcing', ready: true },
  metrics: true,
  enforcingWanted: true,
  gate: 'g1',
  ungated: false,
  judgement: { kind: 'well', calls: 100, failures: 0, worst: undefined },
  unproven: 0,
  unprovenPeers: 0,
  plainAfterSealed: 0,
  misses: 0,
  restartedAgoMs: Number.POSITIVE_INFINITY,
  ...changes,
});
const failing = look({ judgement: { kind: 'failing', calls: 200, failures: 40, worst: 'a' } });
const baking: GuardState = { swap: { sinceMs: 0, gate: 'g1', ready: true }, lastRollback: undefined };
const kinds = (state: GuardState, seen: Look, nowMs = 1000) =>
  decide(state, seen, nowMs, settings).alarms.map(({ kind }) => kind);
const act = (state: GuardState, seen: Look, nowMs = 1000) => decide(state, seen, nowMs, settings).act;

t.test('nothing happens while the logging binary serves', async (t) => {
  const logging = look({ status: { phase: 'logging', ready: true }, judgement: failing.judgement });
  t.strictSame(decide(freshState, logging, 0, settings), { state: freshState, alarms: [], act: undefined });
  t.equal(decide(baking, logging, 0, settings).state.swap, undefined);
  t.equal(act(freshState, look({ status: undefined, metrics: false, enforcingWanted: false })), undefined);
});

t.test('a swap is watched from when it is seen, and a new gate file begins a new one', async (t) => {
  const first = decide(freshState, look(), 5000, settings).state;
  t.strictSame(first.swap, { sinceMs: 5000, gate: 'g1', ready: true });
  t.strictSame(decide(first, look(), 9000, settings).state, first);
  t.match(decide(first, look({ gate: 'g2' }), 9000, settings).state.swap, { sinceMs: 9000, gate: 'g2' });
});

t.test('failures within the bake window roll back, and say why', async (t) => {
  const decision = decide(baking, failing, day - 1, settings);
  t.equal(decision.act, 'rollback');
  t.match(decision.state.lastRollback, {
    atMs: day - 1,
    why: /^40 of 200 calls .* \(20\.0 %\), most of them of a/,
  });
  t.match(decision.alarms, [{ kind: 'rollback', text: /^back to the logging binary: 40 of 200/ }]);
});

t.test('after the bake window failures only alarm', async (t) => {
  t.equal(act(baking, failing, day), undefined);
  t.strictSame(kinds(baking, failing, day), ['failing']);
});

t.test('attack: a single caller and strangers only alarm', async (t) => {
  const single = look({ judgement: { kind: 'single-caller', calls: 200, failures: 190, worst: 'a' } });
  t.equal(act(baking, single), undefined);
  t.strictSame(kinds(baking, single), ['single-caller']);
  const strangers = look({ unproven: 100_000 });
  t.equal(act(baking, strangers), undefined);
  t.strictSame(kinds(baking, strangers), ['unproven-failures']);
});

t.test('another matrix is an alarm; what it refuses rolls back', async (t) => {
  t.strictSame(kinds(baking, look({ ungated: true })), ['ungated-matrix']);
  t.equal(act(baking, look({ ungated: true })), undefined);
  t.strictSame(kinds(baking, look({ ungated: true }), day), [], 'after the bake window matrices change');
  for (const kind of ['ungated-refusals', 'total-refusal'] as const) {
    const seen = look({ judgement: { kind, calls: 30, failures: 30, worst: 'a' } });
    t.equal(act(baking, seen), 'rollback', kind);
    t.strictSame(kinds(baking, seen, day), ['failing'], kind);
  }
});

t.test('missing metrics restart the same binary after three looks, and never roll back', async (t) => {
  for (const gone of [{ status: undefined, metrics: false }, { metrics: false }]) {
    t.equal(act(baking, look({ ...gone, misses: 2 })), undefined);
    t.equal(act(baking, look({ ...gone, misses: 3 })), 'restart');
    t.strictSame(kinds(baking, look({ ...gone, misses: 3 })), ['metrics-missing']);
    t.equal(
      act(baking, look({ ...gone, misses: 9, restartedAgoMs: 200_000 })),
      undefined,
      'not twice at once',
    );
    t.equal(act(baking, look({ ...gone, misses: 99, restartedAgoMs: 300_000 })), 'restart');
    t.equal(act(baking, look({ ...gone, misses: 3 }), 2 * day), 'restart', 'also after the bake window');
  }
});

t.test('a service that an operator stopped is left stopped', async (t) => {
  const stopped = look({ status: undefined, metrics: false, enforcingWanted: false, misses: 5 });
  t.equal(act(baking, stopped), undefined);
  t.strictSame(kinds(baking, stopped), ['sidecar-stopped']);
});

t.test('only a binary that does not become ready right after the swap is rolled back', async (t) => {
  const silent = look({ status: undefined, metrics: false, misses: 9 });
  const swapped = decide(freshState, silent, 0, settings).state;
  t.match(swapped.swap, { sinceMs: 0, ready: false });
  t.equal(act(swapped, silent, 59_999), undefined);
  t.equal(act(swapped, silent, 60_000), 'rollback');
  t.equal(act(swapped, look({ status: { phase: 'enforcing', ready: false } }), 60_000), 'rollback');
  const was = decide(swapped, look(), 30_000, settings).state;
  t.equal(was.swap?.ready, true);
  t.equal(act(was, silent, 60_000), 'restart', 'it was ready once');
});

t.test('unproven peers and plain calls after sealed ones alarm, and never roll back', async (t) => {
  const hop = look({ unprovenPeers: 1_000_000, plainAfterSealed: 3 });
  t.strictSame(kinds(baking, hop), ['peer-unproven', 'sealed-then-plain']);
  t.equal(act(baking, hop), undefined);
});
