/**
 * Loaded into a measured process before its program: on SIGUSR2 it writes a line of JSON to standard error with what it
 * has seen since it was asked last.
 */
import { writeSync } from 'node:fs';
import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks';

/** Times of one kind, in milliseconds. */
export interface Times {
  count: number;
  /** Those of a millisecond or more: there are thousands of others. */
  long: number[];
  longest: number;
}

/** How a process has paused. */
export interface Pauses {
  /** Garbage collections that stopped the thread. */
  readonly young: Times;
  readonly old: Times;
  /** How late each run of a timer of one millisecond was. */
  readonly late: Times;
  /**
   * And how long the main thread can have computed since the run before: no longer than that, and no longer than the
   * kernel has counted, which it does when the thread rests, and every few milliseconds else.
   */
  readonly computing: Times;
}

interface CollectionEntry extends PerformanceEntry {
  readonly detail: { readonly kind: number };
}

const intervalMs = 1;

const none = (): Times => ({ count: 0, long: [], longest: 0 });
const nothing = (): Pauses => ({ young: none(), old: none(), late: none(), computing: none() });
let pauses = nothing();

function add(times: Times, ms: number): void {
  times.count++;
  times.longest = Math.max(times.longest, ms);
  if (ms >= 1) times.long.push(Math.round(ms * 100) / 100);
}

new PerformanceObserver((list) => {
  for (const { duration, detail } of list.getEntries() as CollectionEntry[])
    add(detail.kind === constants.NODE_PERFORMANCE_GC_MINOR ? pauses.young : pauses.old, duration);
}).observe({ entryTypes: ['gc'] });

const computed = () => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
};
let ranAt = performance.now();
let computedBefore = computed();

setInterval(() => {
  const now = performance.now();
  const computedNow = computed();
  const since = now - ranAt;
  add(pauses.late, Math.max(0, since - intervalMs));
  add(pauses.computing, Math.min(since, computedNow - computedBefore));
  ranAt = now;
  computedBefore = computedNow;
}, intervalMs).unref();

process.on('SIGUSR2', () => {
  writeSync(2, `${JSON.stringify(pauses)}\n`);
  pauses = nothing();
});
