import type { GatedReport } from './gated-report.ts';
import { countersOf, lateCalls, type Reading } from './reading.ts';
import { type Judgement, judge, totalRefusalMs, windowMs } from './rule.ts';
import { Window } from './window.ts';

/** Applies the guard's rule to one sidecar, reading by reading. */
export class Watch {
  readonly #window = new Window();
  #sinceMs = Number.POSITIVE_INFINITY;
  #steadyMs = 0;

  /**
   * @param steadyMs monotonic milliseconds
   * @param nowMs milliseconds since the epoch
   */
  add(reading: Reading, report: GatedReport, steadyMs: number, nowMs: number): void {
    this.#sinceMs = Math.min(this.#sinceMs, nowMs);
    this.#steadyMs = steadyMs;
    // Half a reading would look as if the counters had begun anew.
    if (reading.allowed !== undefined && reading.observed !== undefined)
      this.#window.add(countersOf(reading, report), steadyMs);
    for (const { key, caller } of lateCalls(reading, report, Math.max(this.#sinceMs, nowMs - windowMs)))
      this.#window.addLate(key, caller, steadyMs);
  }

  clear(): void {
    this.#window.clear();
    this.#sinceMs = Number.POSITIVE_INFINITY;
  }

  get judgement(): Judgement {
    return judge({
      all: this.#window.totals(),
      recent: this.#window.totals({ sinceMs: this.#steadyMs - totalRefusalMs }),
      ungated: this.#window.totals({ ungated: true }),
    });
  }

  /** Outbound calls whose callee did not prove the pair key. */
  get unprovenPeers(): number {
    return this.#window.unprovenPeers;
  }

  /** Signed calls in the clear between hosts whose calls were sealed before. */
  get plainAfterSealed(): number {
    return this.#window.plainAfterSealed;
  }

  /** Unproven failures that resemble calls that were seen. */
  get unproven(): number {
    return this.#window.unproven;
  }
}
