import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import t from 'tap';
import { ReplayMemory } from '../../../sidecar/replay/replay-memory.ts';

const start = 1_764_000_000;
const always = 0xffff_ffff;

function memoryFor(kids: readonly string[], capacity = 100_000): ReplayMemory {
  const memory = ReplayMemory.ofCapacity(capacity);
  for (const kid of kids) memory.use(kid, always, 0);
  return memory;
}

t.test('admits a nonce once', async (t) => {
  const memory = memoryFor(['a/1', 'a/2']);
  t.equal(memory.admit('a/1', 'nonce-0123456789', start), 'fresh');
  t.equal(memory.admit('a/1', 'nonce-0123456789', start), 'replayed');
  t.equal(memory.admit('a/2', 'nonce-0123456789', start), 'fresh', 'another key id is another nonce');
  t.equal(memory.admit('a/1', 'nonce-0123456780', start), 'fresh');
  t.equal(memory.entries, 3);
});

t.test('does just what a set does, whatever comes in whatever order, growing and forgetting', async (t) => {
  const request = fc.record({
    kid: fc.constantFrom('a/1', 'a/2', 'b/1'),
    nonce: fc.integer({ min: 0, max: 3000 }).map((n) => `nonce-${String(n).padStart(16, '0')}`),
    created: fc.integer({ min: start - 300, max: start + 300 }),
  });
  fc.assert(
    fc.property(
      fc.array(request, { maxLength: 3000, size: 'max' }),
      fc.integer({ min: 0, max: 400 }),
      (all, later) => {
        const memory = memoryFor(['a/1', 'a/2', 'b/1']);
        const seen = new Set<string>();
        for (const [i, { kid, nonce, created }] of all.entries()) {
          if (i === all.length >> 1) memory.forget(start + later);
          // The MAC binds the nonce to `created`, so the model's key holds both.
          const key = `${kid} ${nonce} ${created}`;
          const expected = created <= memory.horizon ? 'lost' : seen.has(key) ? 'replayed' : 'fresh';
          const minuteSeen = [...seen].some((other) => other.startsWith(`${kid} ${nonce} `));
          const admission = memory.admit(kid, nonce, created);
          if (admission !== expected && !(minuteSeen && admission === 'replayed')) return false;
          if (seen.has(key) && admission === 'fresh') return false;
          seen.add(key);
        }
        return true;
      },
    ),
    { numRuns: 15 },
  );
  t.pass();
});

t.test('finds every one of many nonces again, in one minute and over many', async (t) => {
  for (const seconds of [1, 601]) {
    const memory = memoryFor(['a/1'], 200_000);
    const count = 100_000;
    const admit = (n: number) =>
      memory.admit('a/1', `nonce-${String(n).padStart(16, '0')}`, start + (n % seconds));
    let fresh = 0;
    let replayed = 0;
    for (let n = 0; n < count; n++) if (admit(n) === 'fresh') fresh++;
    for (let n = 0; n < count; n++) if (admit(n) === 'replayed') replayed++;
    t.same({ fresh, replayed, entries: memory.entries }, { fresh: count, replayed: count, entries: count });
    // Directories and first pages of every minute weigh on so few; bench/replay.ts has 5 million.
    if (seconds === 1) t.ok(memory.bytes / count <= 42, `${memory.bytes / count} bytes a nonce`);
  }
});

t.test('forgets a minute when its last second has had 301 more, and refuses it from then on', async (t) => {
  const memory = memoryFor(['a/1']);
  const minute = start - (start % 60);
  memory.admit('a/1', 'first-0123456789', minute);
  memory.admit('a/1', 'last--0123456789', minute + 59);
  memory.forget(minute + 59 + 300);
  t.equal(memory.entries, 2);
  t.equal(memory.admit('a/1', 'last--0123456789', minute + 59), 'replayed');
  memory.forget(minute + 59 + 301);
  t.equal(memory.entries, 0);
  t.equal(memory.admit('a/1', 'last--0123456789', minute + 59), 'lost');
  t.equal(memory.admit('a/1', 'new---0123456789', minute), 'lost', 'older ones too');
  t.equal(memory.admit('a/1', 'new---0123456789', minute + 60), 'fresh');
});

t.test('gives the memory of a forgotten minute to the next', async (t) => {
  const memory = memoryFor(['a/1'], 200_000);
  let most = 0;
  for (let round = 0; round < 20; round++) {
    for (let n = 0; n < 20_000; n++)
      memory.admit('a/1', `nonce-${round}-${String(n).padStart(10, '0')}`, start + 600 * round);
    memory.forget(start + 600 * round + 400);
    t.equal(memory.entries, 0);
    if (round === 0) most = memory.bytes;
  }
  t.ok(memory.bytes <= 1.2 * most, `${memory.bytes} bytes after twenty minutes, ${most} after one`);
});

t.test('a caller that fills its part of the memory harms nobody else', async (t) => {
  const memory = memoryFor(['a/1', 'b/1'], 8000);
  const flood = (kid: string, count: number) => {
    let fresh = 0;
    for (let n = 0; n < count; n++)
      if (memory.admit(kid, `flood-${String(n).padStart(16, '0')}`, start + (n % 50)) === 'fresh') fresh++;
    return fresh;
  };
  t.equal(flood('a/1', 10_000), 6000, 'its guaranteed quarter, and the half that all have in common');
  t.equal(memory.admit('a/1', 'nonce-0123456789', start), 'full');
  t.equal(memory.admit('a/1', `flood-${'0'.repeat(16)}`, start), 'replayed', 'what it has is still known');
  t.equal(flood('b/1', 10_000), 2000, 'the other has all that it is guaranteed');
  memory.forget(start + 1000);
  t.equal(memory.admit('a/1', 'nonce-0123456789', start + 1000), 'fresh', 'and there is room again');
});

t.test('counts entries for each caller and minute, as they come and as they are forgotten', async (t) => {
  const capacity = 40;
  const minute = start - (start % 60);
  const step = fc.oneof(
    {
      weight: 10,
      arbitrary: fc.record({
        kid: fc.constantFrom('a/1', 'a/2', 'b/1', 'c/1'),
        nonce: fc.nat(40),
        at: fc.nat(2),
      }),
    },
    { weight: 1, arbitrary: fc.record({ forget: fc.nat(2) }) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200, size: 'max' }), (steps) => {
      const memory = memoryFor(['a/1', 'a/2', 'b/1', 'c/1'], capacity);
      // Of half of the memory each of three callers has a third to itself; the other half is for all.
      const guarantee = Math.floor(capacity / 2 / 3);
      const common = capacity - 3 * guarantee;
      let entries: { caller: string; key: string; at: number }[] = [];
      let admitted = 0;
      let horizon = -1;
      const touched = new Set<number>();
      const of = (caller: string, at?: number) =>
        entries.filter((one) => one.caller === caller && (at === undefined || one.at === at)).length;
      const borrowed = () =>
        ['a', 'b', 'c'].reduce((sum, caller) => sum + Math.max(0, of(caller) - guarantee), 0);
      for (const step of steps) {
        if ('forget' in step) {
          memory.forget(minute + 60 * step.forget + 59 + 301);
          for (const at of touched) if (at <= step.forget) horizon = Math.max(horizon, at);
          entries = entries.filter(({ at }) => at > step.forget);
        } else {
          const { kid, nonce, at } = step;
          const caller = kid[0] as string;
          const key = `${kid} ${nonce} ${at}`;
          const admission = memory.admit(kid, `nonce-${String(nonce).padStart(16, '0')}`, minute + 60 * at);
          if (at <= horizon) {
            if (admission !== 'lost') return false;
            continue;
          }
          touched.add(at);
          const isKnown = entries.some((one) => one.key === key);
          const isFull = of(caller) >= guarantee && borrowed() >= common;
          if (admission !== (isKnown ? 'replayed' : isFull ? 'full' : 'fresh')) return false;
          if (admission === 'fresh') {
            entries.push({ caller, key, at });
            admitted++;
          }
        }
        if (memory.entries !== entries.length || memory.admitted !== admitted) return false;
        const counted = memory
          .minutes()
          .flatMap(({ minute: found, callers }) =>
            Object.entries(callers).map(([caller, count]) => `${found - minute / 60} ${caller} ${count}`),
          );
        const expected = [0, 1, 2].flatMap((at) =>
          ['a', 'b', 'c']
            .filter((caller) => of(caller, at) > 0)
            .map((caller) => `${at} ${caller} ${of(caller, at)}`),
        );
        if (counted.sort().join() !== expected.sort().join()) return false;
      }
      return true;
    }),
    { numRuns: 200 },
  );
  t.pass();
});

t.test('accepts nothing past the durable mark, nor what an earlier process may have accepted', async (t) => {
  const memory = ReplayMemory.ofCapacity(1000);
  t.equal(memory.admit('a/1', 'nonce-0123456789', start), 'unmarked', 'an unknown key id');
  memory.use('a/1', start, start - 10);
  t.equal(memory.admit('a/1', 'nonce-0123456789', start - 10), 'lost');
  t.equal(memory.admit('a/1', 'nonce-0123456789', start - 9), 'fresh');
  t.equal(memory.admit('a/1', 'nonce-0123456780', start + 1), 'unmarked');
  memory.raiseMark('a/1', start + 1);
  t.equal(memory.admit('a/1', 'nonce-0123456780', start + 1), 'fresh');
});

t.test('verifies nothing once it is closed', async (t) => {
  const memory = memoryFor(['a/1']);
  memory.close();
  t.equal(memory.admit('a/1', 'nonce-0123456789', start), 'lost');
});

t.test('keeps working when clocks leave more minutes about than it has buckets', async (t) => {
  const memory = memoryFor(['a/1']);
  for (let n = 0; n < 200; n++) {
    t.equal(memory.admit('a/1', `nonce-${String(n).padStart(16, '0')}`, start + 3600 * n), 'fresh');
    memory.forget(start);
  }
  t.equal(memory.admit('a/1', `nonce-${'0'.repeat(16)}`, start), 'lost', 'the oldest went first');
});

t.test('threads that race with the same nonces admit each exactly once', async (t) => {
  const memory = memoryFor(['a/1'], 400_000);
  const rounds = 120;
  const perRound = 500;
  const count = rounds * perRound;
  // Word r: how many threads have come to round r. Neither begins it before the other.
  const arrived = new Int32Array(new SharedArrayBuffer(4 * rounds));
  const code = `
    import { workerData, parentPort } from 'node:worker_threads';
    const { arrived, module, shared } = workerData;
    const { ReplayMemory } = await import(module);
    const memory = new ReplayMemory(shared);
    const admissions = [];
    for (let round = 0; round < ${rounds}; round++) {
      if (Atomics.add(arrived, round, 1) === 0) Atomics.wait(arrived, round, 1);
      else Atomics.notify(arrived, round);
      for (let n = round * ${perRound}; n < (round + 1) * ${perRound}; n++)
        admissions.push(memory.admit('a/1', 'nonce-' + String(n).padStart(16, '0'), ${start} + (n % 200)));
    }
    parentPort.postMessage(admissions);
  `;
  const module = new URL('../../../sidecar/replay/replay-memory.ts', import.meta.url).href;
  const url = new URL(`data:text/javascript,${encodeURIComponent(code)}`);
  const threads = [0, 1].map(
    () => new Worker(url, { workerData: { shared: memory.shared, arrived, module } }),
  );
  const [[a], [b]] = (await Promise.all(threads.map((thread) => once(thread, 'message')))) as [
    [string[]],
    [string[]],
  ];
  t.strictSame(
    [...arrived],
    Array.from({ length: rounds }, () => 2),
    'both were there in every round',
  );
  // Whichever of the two came first, it is for chance to say.
  const wrong = Array.from({ length: count }, (_, n) => `${n}: ${[a[n], b[n]].sort().join(', ')}`).filter(
    (pair) => !pair.endsWith(': fresh, replayed'),
  );
  t.strictSame(wrong.slice(0, 10), [], 'fresh to one thread, replayed to the other');
  t.equal(memory.entries, count);
});
