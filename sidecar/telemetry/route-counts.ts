import type { Span } from '../../signals/trace-context.ts';
import { textOfLabel } from '../policy/rule.ts';
import { addHistogram, durationBounds, type HistogramData, newHistogram, observe } from './histogram.ts';

/** Routes that one peer has counters for; a matrix with more rules has the rest counted together. */
export const mostRoutes = 500;
/** The label `route` of calls that no rule allowed, and of those past `mostRoutes`. */
export const noRoute = 'none';
const furtherRoutes = 'other';

/** The calls of one peer in one direction that ended alike: plain data that can be structured-cloned. */
export interface RouteCounts {
  /** The rule that allowed the calls, without whom it is for; or `none`. */
  readonly route: string;
  /** 0 when allowed, otherwise the place of the reason. */
  readonly outcome: number;
  /** Statuses of the answers, 0 when there was none, and how often each was given. */
  readonly codes: number[];
  readonly counts: number[];
  readonly duration: HistogramData;
  /** By bucket of `duration`: the newest call of a sampled trace. */
  readonly exemplars: (Exemplar | undefined)[];
}

/** One call of a sampled trace, to look at beside the bucket that it is in. */
export interface Exemplar {
  readonly traceId: string;
  readonly spanId: string;
  readonly seconds: number;
  /** Milliseconds since the epoch. */
  readonly timeMs: number;
}

/** Counts the calls of one peer in one direction by route, outcome and status. */
export class RouteTable {
  readonly #allowed = new Map<string, RouteCounts>();
  readonly #denied: (RouteCounts | undefined)[] = [];
  #further: RouteCounts | undefined = undefined;
  readonly #all: RouteCounts[] = [];

  /** Everything that was counted; live, so clone it before changing anything. */
  get rows(): readonly RouteCounts[] {
    return this.#all;
  }

  /**
   * Hot path: one map lookup for an allowed call, none for another.
   *
   * @param rule the label of the rule that allowed the call; '' where this end knows none
   * @param status of the answer, 0 when there was none
   */
  record(outcome: number, rule: string, status: number, seconds: number, span: Span | undefined): void {
    const row = outcome === 0 ? this.#ofRule(rule) : this.#ofReason(outcome);
    const place = observe(row.duration, durationBounds, seconds);
    if (span !== undefined) {
      const { traceId, spanId } = span;
      row.exemplars[place] = { traceId, spanId, seconds, timeMs: Date.now() };
    }
    countCode(row, status, 1);
  }

  #ofReason(outcome: number): RouteCounts {
    const known = this.#denied[outcome];
    if (known !== undefined) return known;
    const row = this.#add(noRoute, outcome);
    this.#denied[outcome] = row;
    return row;
  }

  #ofRule(rule: string): RouteCounts {
    const known = this.#allowed.get(rule);
    if (known !== undefined) return known;
    if (this.#allowed.size >= mostRoutes) {
      this.#further ??= this.#add(furtherRoutes, 0);
      return this.#further;
    }
    const row = this.#add(rule === '' ? noRoute : textOfLabel(rule), 0);
    this.#allowed.set(rule, row);
    return row;
  }

  #add(route: string, outcome: number): RouteCounts {
    const row = {
      route,
      outcome,
      codes: [],
      counts: [],
      duration: newHistogram(durationBounds),
      exemplars: [],
    };
    this.#all.push(row);
    return row;
  }
}

function countCode(row: RouteCounts, status: number, count: number): void {
  const place = row.codes.indexOf(status);
  if (place >= 0) row.counts[place]! += count;
  else {
    row.codes.push(status);
    row.counts.push(count);
  }
}

/** Keeps the newer of two exemplars of a bucket in `into`. */
export function addExemplars(into: (Exemplar | undefined)[], from: readonly (Exemplar | undefined)[]): void {
  from.forEach((exemplar, place) => {
    if (exemplar !== undefined && exemplar.timeMs >= (into[place]?.timeMs ?? 0)) into[place] = exemplar;
  });
}

/** Adds rows of several workers up; the given ones stay as they are. */
export function mergeRoutes(rows: readonly RouteCounts[]): RouteCounts[] {
  const merged = new Map<string, RouteCounts>();
  for (const row of rows) {
    const key = `${row.outcome} ${row.route}`;
    const into = merged.get(key);
    if (into === undefined) {
      merged.set(key, structuredClone(row));
      continue;
    }
    row.codes.forEach((code, place) => {
      countCode(into, code, row.counts[place] as number);
    });
    addHistogram(into.duration, row.duration);
    addExemplars(into.exemplars, row.exemplars);
  }
  return [...merged.values()];
}
