import { addBuckets, type Buckets, noBuckets, quantile } from '../telemetry/buckets.ts';
import type { Interval } from './interval.ts';

/** Calls of an interval. */
export interface Traffic {
  readonly calls: number;
  readonly per_second: number;
  /** Share of the calls that were answered with a status below 500, 0 to 1; absent without calls. */
  readonly success_rate?: number;
  /** From the first byte of the request to the end of the answer; absent without calls. */
  readonly p50_seconds?: number;
  readonly p99_seconds?: number;
  /** Calls that were denied, whether they were forwarded or refused. */
  readonly denied: number;
  readonly denied_per_second: number;
}

/** Adds the calls of several sidecars up; each has an interval of its own length. */
export class TrafficSum {
  #calls = 0;
  #perSecond = 0;
  #failed = 0;
  #denied = 0;
  #deniedPerSecond = 0;
  #durations: Buckets = noBuckets;

  /** @param code status of the answers, 0 for none */
  addCalls({ seconds }: Interval, count: number, code: number, isDenied: boolean): void {
    this.#calls += count;
    if (code === 0 || code >= 500) this.#failed += count;
    if (isDenied) this.#denied += count;
    if (seconds <= 0) return;
    this.#perSecond += count / seconds;
    if (isDenied) this.#deniedPerSecond += count / seconds;
  }

  addDurations(durations: Buckets): void {
    this.#durations = addBuckets(this.#durations, durations);
  }

  traffic(): Traffic {
    const p50 = quantile(this.#durations, 0.5);
    const p99 = quantile(this.#durations, 0.99);
    return {
      calls: this.#calls,
      per_second: this.#perSecond,
      ...(this.#calls > 0 && { success_rate: 1 - this.#failed / this.#calls }),
      ...(p50 !== undefined && { p50_seconds: p50 }),
      ...(p99 !== undefined && { p99_seconds: p99 }),
      denied: this.#denied,
      denied_per_second: this.#deniedPerSecond,
    };
  }
}
