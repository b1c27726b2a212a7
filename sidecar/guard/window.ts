import { type CallerTotals, windowMs } from './rule.ts';

/** Counters that only grow, unless the sidecar was restarted. */
export interface Counters {
  /** Allowed calls by proven caller. */
  readonly allowed: ReadonlyMap<string, number>;
  /** Failures that count, by caller and kind of call. */
  readonly failed: ReadonlyMap<string, { readonly caller: string; readonly count: number }>;
  /** Unproven failures that resemble calls that were seen. */
  readonly unproven: number;
  /** Whether another matrix than the gated one is in force. */
  readonly ungated: boolean;
  /** Outbound calls whose callee did not prove the pair key. */
  readonly unprovenPeers: number;
  /** Signed calls in the clear between hosts whose calls were sealed before. */
  readonly plainAfterSealed: number;
}

interface Step {
  readonly atMs: number;
  readonly allowed: ReadonlyMap<string, number>;
  readonly failed: ReadonlyMap<string, number>;
  readonly unproven: number;
  readonly ungated: boolean;
  readonly unprovenPeers: number;
  readonly plainAfterSealed: number;
}

/** Which of what was counted. */
export interface Selection {
  /** Monotonic milliseconds; everything in the window unless told. */
  readonly sinceMs?: number;
  /** Only while another matrix than the gated one was in force. */
  readonly ungated?: true;
}

/** What was counted in the last five minutes, from counters read now and then. Times are monotonic milliseconds. */
export class Window {
  #last: Counters | undefined;
  #steps: Step[] = [];
  /** Late calls counted one by one: key to time and caller. */
  readonly #late = new Map<string, { readonly atMs: number; readonly caller: string }>();

  /** Takes a reading in; the first one is what the others are compared with. */
  add(counters: Counters, atMs: number): void {
    const last = this.#last;
    this.#last = counters;
    if (last !== undefined) {
      const failed = new Map<string, number>();
      for (const [key, { caller, count }] of counters.failed)
        grow(failed, caller, increase(count, last.failed.get(key)?.count));
      const allowed = new Map<string, number>();
      for (const [caller, count] of counters.allowed)
        grow(allowed, caller, increase(count, last.allowed.get(caller)));
      this.#steps.push({
        atMs,
        allowed,
        failed,
        unproven: increase(counters.unproven, last.unproven),
        unprovenPeers: increase(counters.unprovenPeers, last.unprovenPeers),
        plainAfterSealed: increase(counters.plainAfterSealed, last.plainAfterSealed),
        ungated: counters.ungated,
      });
    }
    this.#forget(atMs);
  }

  /** Counts a call outside the time window once, by what identifies its signature. */
  addLate(key: string, caller: string, atMs: number): void {
    if (!this.#late.has(key)) this.#late.set(key, { atMs, caller });
  }

  /** Starts anew: what came before a swap says nothing of what came after. */
  clear(): void {
    this.#last = undefined;
    this.#steps = [];
    this.#late.clear();
  }

  totals({ sinceMs = Number.NEGATIVE_INFINITY, ungated }: Selection = {}): Map<string, CallerTotals> {
    const totals = new Map<string, { allowed: number; failed: number }>();
    const of = (caller: string) => {
      const known = totals.get(caller) ?? { allowed: 0, failed: 0 };
      totals.set(caller, known);
      return known;
    };
    for (const { atMs, allowed, failed, ungated: wasUngated } of this.#steps) {
      if (atMs < sinceMs || (ungated === true && !wasUngated)) continue;
      for (const [caller, count] of allowed) of(caller).allowed += count;
      for (const [caller, count] of failed) of(caller).failed += count;
    }
    if (ungated !== true)
      for (const { atMs, caller } of this.#late.values()) if (atMs >= sinceMs) of(caller).failed += 1;
    return totals;
  }

  get unproven(): number {
    return this.#sum('unproven');
  }

  get unprovenPeers(): number {
    return this.#sum('unprovenPeers');
  }

  get plainAfterSealed(): number {
    return this.#sum('plainAfterSealed');
  }

  #sum(of: 'unproven' | 'unprovenPeers' | 'plainAfterSealed'): number {
    return this.#steps.reduce((sum, step) => sum + step[of], 0);
  }

  #forget(nowMs: number): void {
    while ((this.#steps[0]?.atMs ?? Infinity) < nowMs - windowMs) this.#steps.shift();
    for (const [key, { atMs }] of this.#late) if (atMs < nowMs - windowMs) this.#late.delete(key);
  }
}

/** A counter that is smaller than before began anew. */
function increase(now: number, before = 0): number {
  return now >= before ? now - before : now;
}

function grow(counts: Map<string, number>, key: string, by: number): void {
  if (by > 0) counts.set(key, (counts.get(key) ?? 0) + by);
}
