/** Something that may take too long. */
export interface Timed {
  /** In milliseconds of `coarseNow()`; Infinity for none. */
  deadline: number;
  onDeadline(): void;
}

const sweepMs = 100;
let now = performance.now();
const timed = new Set<Timed>();
let sweep: NodeJS.Timeout | undefined;

/** A monotonic clock in milliseconds that moves in steps of 100 ms, for deadlines only. */
export function coarseNow(): number {
  // Nothing moves the clock while nobody is watched.
  if (sweep === undefined) now = performance.now();
  return now;
}

/**
 * Watches over deadlines. One sweep for all connections instead of a timer for each request: a deadline is kept to
 * about 200 ms.
 */
export function watch(one: Timed): void {
  timed.add(one);
  if (sweep === undefined) {
    now = performance.now();
    sweep = setInterval(tick, sweepMs);
    sweep.unref();
  }
}

export function unwatch(one: Timed): void {
  timed.delete(one);
  if (timed.size === 0) {
    clearInterval(sweep);
    sweep = undefined;
  }
}

function tick(): void {
  now = performance.now();
  for (const one of timed) {
    if (one.deadline <= now) {
      one.deadline = Number.POSITIVE_INFINITY;
      one.onDeadline();
    }
  }
}
