/**
 * Loaded into a measured process before its program: on SIGUSR2 it writes a line of JSON to standard error with what it
 * has seen since it was asked last.
 */
import { writeSync } from 'node:fs';
import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks';

/** How a process has paused. Times in milliseconds. */
export interface Pauses {
  /** Garbage collections that stopped the thread. */
  young: number[];
  old: number[];
  /** Of each run of a timer of one millisecond: how late it was. */
  late: number[];
  /** And how long the main thread has computed since the run before, by the kernel's accounting. */
  computing: number[];
}

interface CollectionEntry extends PerformanceEntry {
  readonly detail: { readonly kind: number };
}

const intervalMs = 1;

const nothing = (): Pauses => ({ young: [], old: [], late: [], computing: [] });
let pauses = nothing();

new PerformanceObserver((list) => {
  for (const { duration, detail } of list.getEntries() as CollectionEntry[])
    pauses[detail.kind === constants.NODE_PERFORMANCE_GC_MINOR ? 'young' : 'old'].push(duration);
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
  pauses.late.push(Math.max(0, now - ranAt - intervalMs));
  pauses.computing.push(computedNow - computedBefore);
  ranAt = now;
  computedBefore = computedNow;
}, intervalMs).unref();

process.on('SIGUSR2', () => {
  const rounded = (_: string, value: unknown) =>
    typeof value === 'number' ? Math.round(value * 1000) / 1000 : value;
  writeSync(2, `${JSON.stringify(pauses, rounded)}\n`);
  pauses = nothing();
});
