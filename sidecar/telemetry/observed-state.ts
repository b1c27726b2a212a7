import { type ObservedDocument, observation, type Phase, timeText } from './documents.ts';
import { hopsDocument, hopsOf } from './hop-documents.ts';
import { addHops, type HopRow, subtractHops } from './hop-table.ts';
import { type ObservedRow, rowKey } from './observed-table.ts';
import { addSpans, type RecordedSpan, spansDocument, spansOf } from './recorded-spans.ts';

/** Rows that observed.json holds at most; those not seen for the longest time go first. */
export const mostObservations = 5000;
const forgottenAfterMs = 90 * 24 * 3600 * 1000;

/** What `/observed` tells, in the form in which it is added up: times in milliseconds since the epoch. */
export interface ObservedState {
  readonly sinceMs: number;
  /** Oldest first. */
  readonly recorded: readonly RecordedSpan[];
  readonly rows: readonly ObservedRow[];
  readonly skew: ObservedDocument['skew'];
  readonly hops: readonly HopRow[];
  /** By key id. */
  readonly keysFirstSeen: Readonly<Record<string, string>>;
  readonly overflow: number;
}

export function emptyState(nowMs: number): ObservedState {
  return {
    sinceMs: nowMs,
    recorded: [],
    rows: [],
    skew: [],
    hops: [],
    keysFirstSeen: {},
    overflow: 0,
  };
}

export function stateOf(document: ObservedDocument): ObservedState {
  return {
    sinceMs: Date.parse(document.since),
    recorded: spansOf(document.recorded),
    rows: document.observations.map((row) => {
      const { first, last, example = row.path } = row;
      return { ...row, example, first: Date.parse(first), last: Date.parse(last) } as ObservedRow;
    }),
    skew: document.skew,
    hops: hopsOf(document.hops),
    keysFirstSeen: document.keys_first_seen,
    overflow: document.overflow,
  };
}

/** All but the observations, which are the bulk. */
export function documentHead(state: ObservedState, phase: Phase): Omit<ObservedDocument, 'observations'> {
  return {
    since: timeText(state.sinceMs),
    phase,
    recorded: spansDocument(state.recorded),
    skew: state.skew,
    hops: hopsDocument(state.hops),
    keys_first_seen: { ...state.keysFirstSeen },
    overflow: state.overflow,
  };
}

export function documentOf(state: ObservedState, phase: Phase): ObservedDocument {
  return { ...documentHead(state, phase), observations: state.rows.map(observation) };
}

/** Adds the counts of two up; rows that nobody has seen for 90 days go. */
export function addStates(one: ObservedState, two: ObservedState, nowMs: number): ObservedState {
  const rows = new Map<string, ObservedRow>();
  for (const row of one.rows) if (nowMs - row.last <= forgottenAfterMs) rows.set(rowKey(row), row);
  for (const row of two.rows) {
    const key = rowKey(row);
    const other = rows.get(key);
    rows.set(key, other === undefined ? row : addRows(other, row));
  }
  const { kept, lost } = newest([...rows.values()]);
  return {
    sinceMs: Math.min(one.sinceMs, two.sinceMs),
    recorded: addSpans(one.recorded, two.recorded, nowMs),
    rows: kept,
    skew: addSkew(one.skew, two.skew),
    hops: addHops([...one.hops, ...two.hops]),
    keysFirstSeen: { ...two.keysFirstSeen, ...one.keysFirstSeen },
    overflow: one.overflow + two.overflow + lost,
  };
}

/** The calls that `now` counts beyond `then`. */
export function subtractStates(now: ObservedState, then: ObservedState): ObservedState {
  const before = new Map(then.rows.map((row) => [rowKey(row), row.count]));
  return {
    ...now,
    recorded: [],
    rows: now.rows
      .map((row) => ({ ...row, count: row.count - (before.get(rowKey(row)) ?? 0) }))
      .filter((row) => row.count > 0),
    skew: [],
    hops: subtractHops(now.hops, then.hops),
    keysFirstSeen: {},
    overflow: now.overflow - then.overflow,
  };
}

function addRows(one: ObservedRow, two: ObservedRow): ObservedRow {
  return {
    ...one,
    count: one.count + two.count,
    first: Math.min(one.first, two.first),
    last: Math.max(one.last, two.last),
  };
}

function newest(rows: ObservedRow[]): { kept: ObservedRow[]; lost: number } {
  if (rows.length <= mostObservations) return { kept: rows, lost: 0 };
  rows.sort((a, b) => b.last - a.last);
  const lost = rows.slice(mostObservations).reduce((sum, row) => sum + row.count, 0);
  return { kept: rows.slice(0, mostObservations), lost };
}

function addSkew(one: ObservedDocument['skew'], two: ObservedDocument['skew']): ObservedDocument['skew'] {
  const pairs = new Map<string, ObservedDocument['skew'][number]>();
  for (const row of [...one, ...two]) {
    const key = `${row.caller} ${row.callee}`;
    const other = pairs.get(key);
    if (other === undefined) {
      pairs.set(key, row);
      continue;
    }
    const count = other.count + row.count;
    pairs.set(key, {
      ...row,
      count,
      mean_seconds: (other.mean_seconds * other.count + row.mean_seconds * row.count) / Math.max(1, count),
      min_seconds: Math.min(other.min_seconds, row.min_seconds),
      max_seconds: Math.max(other.max_seconds, row.max_seconds),
    });
  }
  return [...pairs.values()];
}
