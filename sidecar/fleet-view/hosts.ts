import type { Fleet } from '../config/fleet.ts';
import { addBuckets, noBuckets, quantile } from '../telemetry/buckets.ts';
import type { HostState, Phase, StatusDocument } from '../telemetry/documents.ts';
import { unknownPeer } from '../telemetry/telemetry.ts';
import type { Direction } from '../terms/call-record.ts';
import { type Interval, intervals } from './interval.ts';
import { type FleetSnapshot, nameOf } from './snapshot.ts';
import { type Traffic, TrafficSum } from './traffic.ts';

/** Half of an app's answers begin later than this: it is slow. */
const slowAppSeconds = 1;

/** `none`: a service that only calls others. `unknown`: its sidecar was not read, or does not tell. */
export type AppState = 'up' | 'slow' | 'down' | 'none' | 'unknown';

/** One sidecar of the fleet. What could not be read of it is absent. */
export interface HostRow {
  readonly service: string;
  readonly host: string;
  readonly health: 'ready' | 'not-ready' | 'unreachable';
  /** Why it could not be read. */
  readonly problem?: string;
  readonly phase?: Phase;
  readonly version?: string;
  readonly app: AppState;
  /** Calls to the local app, and from it. */
  readonly inbound?: Traffic;
  readonly outbound?: Traffic;
  /** The mean of the caller that is furthest from this host's clock; positive when the caller's is behind. */
  readonly skew_seconds?: number;
  /** Of the oldest key that is signed with here; of the oldest newest key of a caller, where nothing is signed. */
  readonly key_age_seconds?: number;
  /** Share of the open connections with proven or dialled sidecars that are sealed, 0 to 1. */
  readonly sealed_share?: number;
  /** In the interval. */
  readonly handshake_failures?: number;
}

/** The document of `countersign top --json` and the console. */
export interface HostsDocument {
  readonly taken_at: string;
  readonly hosts: readonly HostRow[];
}

/**
 * Every sidecar of the fleet in the order of fleet.yaml, then those that were read and are not in it.
 *
 * @param previous an earlier snapshot: rates are of the time between; without it, of the time since each start
 * @param fleet without it, the hosts that were read are all there are
 */
export function hosts(
  previous: FleetSnapshot | undefined,
  current: FleetSnapshot,
  fleet?: Fleet,
): HostsDocument {
  const byHost = intervals(previous, current);
  const rows = current.hosts.map((state) => hostRow(state, byHost.get(state), fleet));
  const named = new Map(rows.map((row) => [`${row.service} ${row.host}`, row]));
  const expected = [...(fleet?.services.values() ?? [])].flatMap(({ name, hosts }) =>
    hosts.map((host) => named.get(`${name} ${host}`) ?? missing(name, host)),
  );
  const further = rows.filter((row) => !expected.includes(row));
  return { taken_at: new Date(current.takenAtMs).toISOString(), hosts: [...expected, ...further] };
}

function missing(service: string, host: string): HostRow {
  return { service, host, health: 'unreachable', problem: 'it was not read', app: 'unknown' };
}

function hostRow(state: HostState, interval: Interval | undefined, fleet: Fleet | undefined): HostRow {
  const { status, from, problem } = state;
  const { service = from, host = '' } = nameOf(state);
  const only = fleet?.services.get(service);
  const hasApp = only === undefined || only.inbound !== undefined;
  if (status === undefined)
    return {
      service,
      host,
      health: 'unreachable',
      problem: problem ?? 'found no status',
      app: hasApp ? 'unknown' : 'none',
    };
  const share = sealedShare(status);
  const age = keyAge(status, interval);
  const skew = interval === undefined ? undefined : furthestSkew(interval);
  return {
    service,
    host,
    health: status.ready ? 'ready' : 'not-ready',
    ...(problem !== undefined && { problem }),
    phase: status.phase,
    version: status.version,
    app: hasApp ? appState(status, interval) : 'none',
    ...(interval !== undefined && {
      inbound: trafficOf(interval, 'inbound'),
      outbound: trafficOf(interval, 'outbound'),
      handshake_failures: handshakeFailures(interval),
    }),
    ...(skew !== undefined && { skew_seconds: skew }),
    ...(age !== undefined && { key_age_seconds: age }),
    ...(share !== undefined && { sealed_share: share }),
  };
}

function trafficOf(interval: Interval, of: Direction): Traffic {
  const sum = new TrafficSum();
  for (const { direction, verdict, code, count } of interval.metrics.calls)
    if (direction === of) sum.addCalls(interval, count, code, verdict === 'denied');
  for (const { direction, seconds } of interval.metrics.durations)
    if (direction === of) sum.addDurations(seconds);
  return sum.traffic();
}

function appState(status: StatusDocument, interval: Interval | undefined): AppState {
  if (status.app_listens === false) return 'down';
  if (interval === undefined) return status.app_listens === true ? 'up' : 'unknown';
  const { calls, firstBytes, durations, inFlight = 0 } = interval.metrics;
  const inbound = calls.filter(({ direction, count }) => direction === 'inbound' && count > 0);
  const isOver = inbound.length > 0;
  const failed = (reason: string) => inbound.some((each) => each.reason === reason);
  const answered = inbound.some(({ code, reason }) => code !== 0 && reason === '');
  if (failed('upstream-failed') && !answered) return 'down';
  // Calls are under way, and none has ended.
  if (failed('upstream-timeout') || (inFlight > 0 && !isOver)) return 'slow';
  const times = (firstBytes.length > 0 ? firstBytes : durations).filter(
    ({ direction }) => direction === 'inbound',
  );
  const median = quantile(
    times.reduce((sum, { seconds }) => addBuckets(sum, seconds), noBuckets),
    0.5,
  );
  if (median !== undefined && median > slowAppSeconds) return 'slow';
  return status.app_listens === true || answered ? 'up' : 'unknown';
}

function furthestSkew({ metrics }: Interval): number | undefined {
  const means = metrics.skew.filter(({ count }) => count > 0).map(({ sum, count }) => sum / count);
  return means.sort((a, b) => Math.abs(b) - Math.abs(a))[0];
}

function keyAge({ keys }: StatusDocument, interval: Interval | undefined): number | undefined {
  const ages = new Map(interval?.metrics.keyAges.map(({ kid, seconds }) => [kid, seconds]));
  const signing = Object.values(keys.outbound).map(({ kid }) => kid);
  const accepted = Object.values(keys.inbound).flatMap((list) => list[0]?.kid ?? []);
  const known = (signing.length > 0 ? signing : accepted).flatMap((kid) => ages.get(kid) ?? []);
  return known.length === 0 ? undefined : Math.max(...known);
}

/** Plain connections of strangers are public calls and health checks: they need no seal. */
function sealedShare({ hops }: StatusDocument): number | undefined {
  let [sealed, all] = [0, 0];
  for (const hop of hops) {
    if (hop.peer === unknownPeer) continue;
    sealed += hop.sealed;
    all += hop.sealed + hop.plain;
  }
  return all === 0 ? undefined : sealed / all;
}

function handshakeFailures({ metrics }: Interval): number {
  return metrics.handshakes
    .filter(({ result }) => result !== 'proven')
    .reduce((sum, { count }) => sum + count, 0);
}
