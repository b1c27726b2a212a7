import { intervals } from '../fleet-view/interval.ts';
import type { FleetSnapshot } from '../fleet-view/snapshot.ts';
import { type Traffic, TrafficSum } from '../fleet-view/traffic.ts';

/** 15 minutes, at one reading in 2 s. */
const mostPoints = 450;

/** The calls of the whole fleet over time, as columns of the same length; what is not known is null. */
export interface HistoryDocument {
  /** Seconds since the epoch. */
  readonly at: readonly number[];
  readonly per_second: readonly (number | null)[];
  readonly denied_per_second: readonly (number | null)[];
  readonly p99_seconds: readonly (number | null)[];
}

interface Point {
  readonly at: number;
  readonly perSecond: number;
  readonly deniedPerSecond: number;
  readonly p99Seconds: number | null;
}

/** The last minutes of a fleet's calls, as their callees counted them. */
export class History {
  readonly #points: Point[] = [];

  add(previous: FleetSnapshot, current: FleetSnapshot): void {
    const { per_second, denied_per_second, p99_seconds } = inboundTraffic(previous, current);
    this.#points.push({
      at: Math.round(current.takenAtMs / 1000),
      perSecond: per_second,
      deniedPerSecond: denied_per_second,
      p99Seconds: p99_seconds ?? null,
    });
    if (this.#points.length > mostPoints) this.#points.shift();
  }

  document(): HistoryDocument {
    return {
      at: this.#points.map(({ at }) => at),
      per_second: this.#points.map(({ perSecond }) => perSecond),
      denied_per_second: this.#points.map(({ deniedPerSecond }) => deniedPerSecond),
      p99_seconds: this.#points.map(({ p99Seconds }) => p99Seconds),
    };
  }
}

/** All calls that came in to the sidecars of a fleet. */
export function inboundTraffic(previous: FleetSnapshot | undefined, current: FleetSnapshot): Traffic {
  const sum = new TrafficSum();
  for (const interval of intervals(previous, current).values()) {
    for (const { direction, verdict, code, count } of interval.metrics.calls)
      if (direction === 'inbound') sum.addCalls(interval, count, code, verdict === 'denied');
    for (const { direction, seconds } of interval.metrics.durations)
      if (direction === 'inbound') sum.addDurations(seconds);
  }
  return sum.traffic();
}
