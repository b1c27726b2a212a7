import type { Fleet } from '../config/fleet.ts';
import { authorize } from '../policy/authorize.ts';
import type { Matrix } from '../policy/matrix.ts';
import type { HostState, Observation } from '../telemetry/documents.ts';

/** The calls from one caller to one callee, all hosts together. */
export interface PairCalls {
  /** `unknown` for callers that proved nothing. */
  readonly caller: string;
  readonly callee: string;
  calls: number;
  allowed: number;
  /** By reason. */
  readonly denied: Record<string, number>;
}

export interface PairSkew {
  readonly caller: string;
  readonly callee: string;
  readonly count: number;
  readonly mean_seconds: number;
  readonly min_seconds: number;
  readonly max_seconds: number;
}

/** The inbound observations of all sidecars. */
export function inboundRows(states: readonly HostState[]): Observation[] {
  return states
    .flatMap(({ observed }) => observed?.observations ?? [])
    .filter((row) => row.direction === 'inbound');
}

export function pairCalls(rows: readonly Observation[]): PairCalls[] {
  const pairs = new Map<string, PairCalls>();
  for (const row of rows) {
    const caller = row.caller ?? 'unknown';
    const key = `${caller} ${row.callee}`;
    const pair = pairs.get(key) ?? { caller, callee: row.callee, calls: 0, allowed: 0, denied: {} };
    pairs.set(key, pair);
    pair.calls += row.count;
    if (row.verdict === 'allowed') pair.allowed += row.count;
    else pair.denied[row.reason] = (pair.denied[row.reason] ?? 0) + row.count;
  }
  return [...pairs.values()].sort((a, b) => b.calls - a.calls);
}

/** Skew per pair, the hosts of a service together. */
export function pairSkew(states: readonly HostState[]): PairSkew[] {
  const pairs = new Map<string, PairSkew>();
  for (const row of states.flatMap(({ observed }) => observed?.skew ?? [])) {
    const key = `${row.caller} ${row.callee}`;
    const other = pairs.get(key);
    const count = row.count + (other?.count ?? 0);
    pairs.set(key, {
      caller: row.caller,
      callee: row.callee,
      count,
      mean_seconds:
        (row.mean_seconds * row.count + (other?.mean_seconds ?? 0) * (other?.count ?? 0)) /
        Math.max(1, count),
      min_seconds: Math.min(row.min_seconds, other?.min_seconds ?? row.min_seconds),
      max_seconds: Math.max(row.max_seconds, other?.max_seconds ?? row.max_seconds),
    });
  }
  return [...pairs.values()];
}

export interface NeverSeen {
  readonly services: readonly string[];
  readonly permits: readonly { readonly callee: string; readonly rule: string }[];
}

/** Services that nobody called and that proved no call, and rules that no recorded call needed. */
export function neverSeen(rows: readonly Observation[], fleet: Fleet, matrix: Matrix): NeverSeen {
  const seen = new Set<string>();
  const used = new Set<string>();
  for (const row of rows) {
    seen.add(row.callee);
    if (row.caller !== undefined) seen.add(row.caller);
    const authorization = authorize(matrix.of(row.callee), row.caller, row.method, row.example ?? row.path);
    if (authorization.kind !== 'denied') used.add(`${row.callee} ${authorization.rule}`);
  }
  const permits = [...matrix.services.values()].flatMap(({ service, public: open, callers }) =>
    [open, ...callers.values()]
      .flatMap((matcher) => matcher.rules)
      .filter((rule) => !used.has(`${service} ${rule.label}`))
      .map((rule) => ({ callee: service, rule: rule.label })),
  );
  return { services: [...fleet.services.keys()].filter((name) => !seen.has(name)), permits };
}
