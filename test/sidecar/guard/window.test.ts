import t from 'tap';
import { type Counters, Window } from '../../../sidecar/guard/window.ts';

const counters = (allowed: number, failed: number, unproven = 0): Counters => ({
  allowed: new Map([['a', allowed]]),
  failed: new Map([['a GET /x', { caller: 'a', count: failed }]]),
  unproven,
  ungated: false,
  unprovenPeers: 0,
  plainAfterSealed: 0,
});
const minute = 60_000;

t.test('what was counted before the first reading does not matter', async (t) => {
  const window = new Window();
  window.add(counters(1000, 500), 0);
  t.strictSame(window.totals(), new Map());
  window.add(counters(1090, 510, 7), 5_000);
  t.strictSame(window.totals(), new Map([['a', { allowed: 90, failed: 10 }]]));
  t.equal(window.unproven, 7);
});

t.test('a kind of failure that is new counts in full', async (t) => {
  const window = new Window();
  window.add({ ...counters(0, 0), allowed: new Map(), failed: new Map() }, 0);
  window.add(counters(0, 4), 1);
  t.strictSame(window.totals(), new Map([['a', { allowed: 0, failed: 4 }]]));
});

t.test('counters that begin anew after a restart are not taken for a fall', async (t) => {
  const window = new Window();
  window.add(counters(1000, 5), 0);
  window.add(counters(30, 5), 1);
  t.strictSame(window.totals(), new Map([['a', { allowed: 30, failed: 0 }]]));
});

t.test('what is older than five minutes is forgotten', async (t) => {
  const window = new Window();
  window.add(counters(0, 0), 0);
  window.add(counters(10, 1), 1 * minute);
  window.add(counters(30, 2), 4 * minute);
  t.strictSame(window.totals(), new Map([['a', { allowed: 30, failed: 2 }]]));
  window.add(counters(30, 2), 6 * minute + 1);
  t.strictSame(window.totals(), new Map([['a', { allowed: 20, failed: 1 }]]));
  window.clear();
  t.strictSame(window.totals(), new Map());
});

t.test('attack: a signature that is sent again and again counts once', async (t) => {
  const window = new Window();
  for (let i = 0; i < 50; i++) window.addLate('a/1 1764000000 GET /x', 'a', i);
  window.addLate('a/1 1764000001 GET /x', 'a', 51);
  t.strictSame(window.totals(), new Map([['a', { allowed: 0, failed: 2 }]]));
});

t.test('tells apart what is recent, and what was under another matrix', async (t) => {
  const window = new Window();
  window.add(counters(0, 0), 0);
  window.add(counters(10, 0), 1_000);
  window.add({ ...counters(10, 4), ungated: true }, 2_000);
  window.addLate('late', 'a', 500);
  t.strictSame(window.totals(), new Map([['a', { allowed: 10, failed: 5 }]]));
  t.strictSame(window.totals({ sinceMs: 1_500 }), new Map([['a', { allowed: 0, failed: 4 }]]));
  t.strictSame(window.totals({ ungated: true }), new Map([['a', { allowed: 0, failed: 4 }]]));
});
