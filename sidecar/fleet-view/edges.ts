import type { Matrix } from '../policy/matrix.ts';
import type { HostState } from '../telemetry/documents.ts';
import { unknownPeer } from '../telemetry/telemetry.ts';
import type { Direction } from '../terms/call-record.ts';
import { type Interval, intervals } from './interval.ts';
import { type FleetSnapshot, nameOf } from './snapshot.ts';
import { type Traffic, TrafficSum } from './traffic.ts';

/**
 * How what was seen of an edge stands to the matrix: `used`, permitted and seen; `never-seen`, permitted and not seen;
 * `not-permitted`, seen without any rule for the caller; `stranger`, callers that proved nothing.
 */
export type EdgeState = 'used' | 'never-seen' | 'not-permitted' | 'stranger';

/** The calls from one service to another, all hosts together. */
export interface Edge {
  /** `unknown` for callers that proved nothing. */
  readonly caller: string;
  readonly callee: string;
  readonly state: EdgeState;
  /** Rules that the matrix has for this caller; of strangers, the public ones. */
  readonly rules: number;
  /** Calls that the sidecars remember, for 90 days at most; of those that were not asked, the calls since their start. */
  readonly allowed: number;
  readonly denied: number;
  /** The denied ones by reason. */
  readonly reasons: Readonly<Record<string, number>>;
  /** Absent when no sidecar remembers a call. */
  readonly last?: string;
  /** The calls of the interval. */
  readonly traffic: Traffic;
  /** Share of the calls between the two, as far as they are remembered, that were sealed, 0 to 1; absent for strangers. */
  readonly sealed_share?: number;
  /** Calls for which a host of the callee did not prove its key. */
  readonly unproven: number;
}

/** The document of `countersign edges --json` and the console. */
export interface EdgesDocument {
  readonly taken_at: string;
  readonly edges: readonly Edge[];
}

/** What is added up of one edge. Denied calls that did not reach the callee are only known at the caller's end. */
class EdgeSum {
  allowed = 0;
  denied = 0;
  readonly reasons: Record<string, number> = {};
  last: string | undefined;
  sealed = 0;
  plain = 0;
  unproven = 0;
  readonly traffic = new TrafficSum();

  see(last: string): void {
    if (this.last === undefined || Date.parse(last) > Date.parse(this.last)) this.last = last;
  }
}

class EdgeSums {
  readonly sums = new Map<string, { caller: string; callee: string; sum: EdgeSum }>();

  of(caller: string, callee: string): EdgeSum {
    const key = `${caller} ${callee}`;
    let edge = this.sums.get(key);
    if (edge === undefined) {
      edge = { caller, callee, sum: new EdgeSum() };
      this.sums.set(key, edge);
    }
    return edge.sum;
  }
}

/**
 * Who calls whom, and who might: the edges of the matrix and those that were seen, by callee and caller.
 *
 * The callee's sidecars tell, since there a MAC proved the caller; the caller's do where none of the callee was read.
 *
 * @param previous an earlier snapshot: rates are of the time between; without it, of the time since each start
 */
export function edges(
  previous: FleetSnapshot | undefined,
  current: FleetSnapshot,
  matrix: Matrix,
): EdgesDocument {
  const sums = new EdgeSums();
  for (const { service, public: open, callers } of matrix.services.values()) {
    if (open.rules.length > 0) sums.of(unknownPeer, service);
    for (const [caller, matcher] of callers) if (matcher.rules.length > 0) sums.of(caller, service);
  }
  const readCallees = new Set(
    current.hosts.filter(({ status }) => status !== undefined).map((state) => nameOf(state).service),
  );
  const byHost = intervals(previous, current);
  for (const state of current.hosts) addHost(sums, state, byHost.get(state), readCallees);
  const rows = [...sums.sums.values()].map(({ caller, callee, sum }) => edgeOf(caller, callee, sum, matrix));
  rows.sort((a, b) => compare(a.callee, b.callee) || compare(a.caller, b.caller));
  return { taken_at: new Date(current.takenAtMs).toISOString(), edges: rows };
}

function addHost(
  sums: EdgeSums,
  state: HostState,
  interval: Interval | undefined,
  readCallees: ReadonlySet<string | undefined>,
): void {
  const { service } = nameOf(state);
  if (service === undefined) return;
  /** The edge that a direction and a peer of this sidecar mean, if it is this sidecar that tells of it. */
  const edge = (direction: Direction, peer: string): EdgeSum | undefined => {
    if (direction === 'inbound') return sums.of(peer, service);
    // A made-up callee of the app is no edge of the fleet.
    return peer === unknownPeer || readCallees.has(peer) ? undefined : sums.of(service, peer);
  };
  for (const row of state.observed?.observations ?? []) {
    const { direction, caller = unknownPeer, callee, verdict, reason, count, last } = row;
    if (direction === 'outbound' && reason === 'unknown-callee') continue;
    const sum = edge(direction, direction === 'inbound' ? caller : callee);
    if (sum === undefined) continue;
    sum[verdict] += count;
    if (verdict === 'denied') sum.reasons[reason] = (sum.reasons[reason] ?? 0) + count;
    sum.see(last);
  }
  if (state.observed === undefined) {
    for (const { direction, peer, verdict, reason, count } of state.metrics?.calls ?? []) {
      const sum = edge(direction, peer);
      if (sum === undefined) continue;
      sum[verdict] += count;
      if (verdict === 'denied') sum.reasons[reason] = (sum.reasons[reason] ?? 0) + count;
    }
  }
  for (const { direction, peer, sealed, plain, unproven } of state.observed?.hops ?? []) {
    if (direction === 'outbound' && peer !== unknownPeer)
      sums.of(service, peer).unproven += unproven?.count ?? 0;
    const sum = edge(direction, peer);
    if (sum === undefined) continue;
    sum.sealed += sealed?.count ?? 0;
    sum.plain += plain?.count ?? 0;
  }
  if (interval === undefined) return;
  for (const { direction, peer, verdict, code, count } of interval.metrics.calls)
    edge(direction, peer)?.traffic.addCalls(interval, count, code, verdict === 'denied');
  for (const { direction, peer, seconds } of interval.metrics.durations)
    edge(direction, peer)?.traffic.addDurations(seconds);
}

function edgeOf(caller: string, callee: string, sum: EdgeSum, matrix: Matrix): Edge {
  const service = matrix.of(callee);
  const rules = (caller === unknownPeer ? service.public : service.callers.get(caller))?.rules.length ?? 0;
  const { allowed, denied, reasons, last, sealed, plain, unproven } = sum;
  return {
    caller,
    callee,
    state: stateOf(caller, rules, allowed, denied),
    rules,
    allowed,
    denied,
    reasons,
    ...(last !== undefined && { last }),
    traffic: sum.traffic.traffic(),
    ...(caller !== unknownPeer && sealed + plain > 0 && { sealed_share: sealed / (sealed + plain) }),
    unproven,
  };
}

/** A caller without a rule of its own may use public routes. */
function stateOf(caller: string, rules: number, allowed: number, denied: number): EdgeState {
  if (caller === unknownPeer) return 'stranger';
  if (rules === 0 && allowed === 0) return 'not-permitted';
  return allowed + denied > 0 ? 'used' : 'never-seen';
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
