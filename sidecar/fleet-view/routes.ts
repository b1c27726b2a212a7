import { authorize } from '../policy/authorize.ts';
import type { Matrix } from '../policy/matrix.ts';
import { intervals } from './interval.ts';
import { type FleetSnapshot, nameOf } from './snapshot.ts';
import { type Traffic, TrafficSum } from './traffic.ts';

/** One rule of the matrix, and the calls that it allowed; the hosts of the callee together. */
export interface RouteRow {
  readonly callee: string;
  /** Absent for a public rule. */
  readonly caller?: string;
  /** As it stands in authorization.yaml: `GET /api/status/*`. */
  readonly rule: string;
  /** Calls that the callee's sidecars remember, for 90 days at most. */
  readonly calls: number;
  /** Absent when no sidecar remembers a call. */
  readonly last_used?: string;
  /** Whether neither memory nor counters know a call. */
  readonly never_used: boolean;
  /** The calls of the interval. */
  readonly traffic: Traffic;
}

/** The document of `countersign routes --json` and the console. */
export interface RoutesDocument {
  readonly taken_at: string;
  /** Services of the matrix of which no sidecar was read: nothing is known of their routes. */
  readonly not_read: readonly string[];
  readonly routes: readonly RouteRow[];
}

interface Use {
  calls: number;
  last: string;
}

/**
 * Every rule of the matrix, in its order, with the calls that it allowed.
 *
 * @param previous an earlier snapshot: rates are of the time between; without it, of the time since each start
 */
export function routes(
  previous: FleetSnapshot | undefined,
  current: FleetSnapshot,
  matrix: Matrix,
): RoutesDocument {
  const remembered = rememberedUses(current, matrix);
  const counted = countedTraffic(previous, current, matrix);
  const rows = [...matrix.services.values()].flatMap(({ service, public: open, callers }) =>
    [open, ...callers.values()]
      .flatMap((matcher) => matcher.rules)
      .map(({ label, text, caller }): RouteRow => {
        const use = remembered.get(`${service} ${label}`);
        const sum = counted.get(`${service} ${label}`);
        return {
          callee: service,
          ...(caller !== undefined && { caller }),
          rule: text,
          calls: use?.calls ?? 0,
          ...(use !== undefined && { last_used: use.last }),
          never_used: use === undefined && sum?.wasUsed !== true,
          traffic: (sum?.interval ?? new TrafficSum()).traffic(),
        };
      }),
  );
  const read = new Set(
    current.hosts
      .filter(({ observed, metrics }) => observed !== undefined || metrics !== undefined)
      .map((state) => nameOf(state).service),
  );
  return {
    taken_at: new Date(current.takenAtMs).toISOString(),
    not_read: [...matrix.services.keys()].filter((service) => !read.has(service)),
    routes: rows,
  };
}

/** By callee and label of the rule that allows them now, the calls that were allowed. */
function rememberedUses(current: FleetSnapshot, matrix: Matrix): Map<string, Use> {
  const uses = new Map<string, Use>();
  for (const { observed } of current.hosts) {
    for (const row of observed?.observations ?? []) {
      if (row.direction !== 'inbound' || row.verdict !== 'allowed') continue;
      const { callee, caller, method, path, example = path, count, last } = row;
      const found = authorize(matrix.of(callee), caller, method, example);
      if (found.kind === 'denied') continue;
      const key = `${callee} ${found.rule}`;
      const use = uses.get(key) ?? { calls: 0, last };
      uses.set(key, use);
      use.calls += count;
      if (Date.parse(last) > Date.parse(use.last)) use.last = last;
    }
  }
  return uses;
}

interface Counted {
  readonly interval: TrafficSum;
  wasUsed: boolean;
}

function countedTraffic(
  previous: FleetSnapshot | undefined,
  current: FleetSnapshot,
  matrix: Matrix,
): Map<string, Counted> {
  const sums = new Map<string, Counted>();
  // Public rules are looked at before those of a caller.
  const open = new Map(
    [...matrix.services.values()].flatMap(({ service, public: { rules } }) =>
      rules.map(({ text, label }) => [`${service} ${text}`, label] as const),
    ),
  );
  const sumOf = (service: string, peer: string, route: string) => {
    const key = `${service} ${open.get(`${service} ${route}`) ?? `${peer}: ${route}`}`;
    const sum = sums.get(key) ?? { interval: new TrafficSum(), wasUsed: false };
    sums.set(key, sum);
    return sum;
  };
  for (const [state, interval] of intervals(previous, current)) {
    const { service = '' } = nameOf(state);
    for (const { direction, peer, route, code, count } of interval.metrics.routes)
      if (direction === 'inbound')
        sumOf(service, peer, route).interval.addCalls(interval, count, code, false);
    for (const { direction, peer, route, seconds } of interval.metrics.routeDurations)
      if (direction === 'inbound') sumOf(service, peer, route).interval.addDurations(seconds);
    for (const { direction, peer, route, count } of state.metrics?.routes ?? [])
      if (direction === 'inbound' && count > 0) sumOf(service, peer, route).wasUsed = true;
  }
  return sums;
}
