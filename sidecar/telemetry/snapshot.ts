import type { Signal } from '../../signals/feed.ts';
import type { Feeds } from '../../signals/feeds.ts';
import type { DenialEntry, SignedEntry } from './denial-ring.ts';
import { addHistogram, type HistogramData } from './histogram.ts';
import { addHops, type HopCounts, type HopRow, mergeHopCounts } from './hop-table.ts';
import { type ObservedRow, rowKey } from './observed-table.ts';
import { mergeRoutes, type RouteCounts } from './route-counts.ts';

/** Entries that `/denials` keeps. */
export const denialsKept = 1000;
export const signedKept = 200;

/** What one fleet service, or `unknown`, did and was done to. The pairs are [inbound, outbound]. */
export interface PeerSnapshot {
  readonly peer: string;
  readonly routes: readonly [readonly RouteCounts[], readonly RouteCounts[]];
  /** Seconds to the first byte of the response, where the other end gave one. */
  readonly firstByte: readonly [HistogramData, HistogramData];
  /** Seconds that calls were in this sidecar's hands. */
  readonly overhead: readonly [HistogramData, HistogramData];
  /** Inbound, of proven calls. */
  readonly skew: HistogramData;
}

export interface Gauges {
  /** Live nonces in the replay memory. */
  readonly replayEntries: number;
  readonly keyAges: readonly { readonly kid: string; readonly seconds: number }[];
}

/** The event loop of one worker since it started. */
export interface LoopSnapshot {
  readonly worker: number;
  readonly p50Seconds: number;
  readonly p99Seconds: number;
  readonly maxSeconds: number;
  /** Share of the time that the loop was busy, 0 to 1. */
  readonly utilization: number;
}

/** All that the telemetry of one worker, or of all of them, knows: plain data that can be structured-cloned. */
export interface TelemetrySnapshot {
  readonly service: string;
  readonly peers: readonly PeerSnapshot[];
  readonly keyUses: readonly (readonly [kid: string, count: number])[];
  readonly connections: readonly [inbound: number, outbound: number];
  /** Calls that have begun and not ended. */
  readonly inFlight: readonly [inbound: number, outbound: number];
  readonly hops: readonly HopRow[];
  readonly hopCounts: readonly HopCounts[];
  readonly rows: readonly ObservedRow[];
  readonly overflow: number;
  readonly denials: readonly DenialEntry[];
  readonly signed: readonly SignedEntry[];
  readonly suppressedLogs: number;
  /** What was lost on its way to the access log and the collector; undefined when nothing is exported. */
  readonly signalsDropped: Feeds['dropped'] | undefined;
  readonly gauges: Gauges;
  readonly loops: readonly LoopSnapshot[];
}

/**
 * Adds the snapshots of several workers up. Gauges are of things that the workers share: the largest counts.
 *
 * @param snapshots at least one
 */
export function mergeSnapshots(snapshots: readonly TelemetrySnapshot[]): TelemetrySnapshot {
  const [first] = snapshots;
  if (first === undefined) throw new RangeError('there is no snapshot to merge');
  if (snapshots.length === 1) return first;
  const keyUses = new Map<string, number>();
  const keyAges = new Map<string, number>();
  for (const each of snapshots) {
    for (const [kid, count] of each.keyUses) keyUses.set(kid, (keyUses.get(kid) ?? 0) + count);
    for (const { kid, seconds } of each.gauges.keyAges)
      keyAges.set(kid, Math.max(seconds, keyAges.get(kid) ?? 0));
  }
  const sum = (of: (each: TelemetrySnapshot) => number) =>
    snapshots.reduce((total, each) => total + of(each), 0);
  return {
    service: first.service,
    peers: mergePeers(snapshots),
    keyUses: [...keyUses],
    connections: [sum((each) => each.connections[0]), sum((each) => each.connections[1])],
    inFlight: [sum((each) => each.inFlight[0]), sum((each) => each.inFlight[1])],
    hops: addHops(snapshots.flatMap((each) => each.hops)),
    hopCounts: mergeHopCounts(snapshots.flatMap((each) => each.hopCounts)),
    rows: mergeRows(snapshots.flatMap((each) => each.rows)),
    overflow: sum((each) => each.overflow),
    denials: newest(snapshots.flatMap((each) => each.denials)).slice(0, denialsKept),
    signed: newest(snapshots.flatMap((each) => each.signed)).slice(0, signedKept),
    signalsDropped: first.signalsDropped && {
      traces: dropped(snapshots, 'traces'),
      logs: dropped(snapshots, 'logs'),
      access: dropped(snapshots, 'access'),
    },
    suppressedLogs: sum((each) => each.suppressedLogs),
    gauges: {
      replayEntries: Math.max(...snapshots.map((each) => each.gauges.replayEntries)),
      keyAges: [...keyAges].map(([kid, seconds]) => ({ kid, seconds })),
    },
    loops: snapshots.flatMap((each) => each.loops),
  };
}

function dropped(snapshots: readonly TelemetrySnapshot[], signal: Signal): number | undefined {
  const [first] = snapshots;
  if (first?.signalsDropped?.[signal] === undefined) return undefined;
  return snapshots.reduce((total, each) => total + (each.signalsDropped?.[signal] ?? 0), 0);
}

/** Adds rows of the same kind of call up. */
export function mergeRows(rows: readonly ObservedRow[]): ObservedRow[] {
  const merged = new Map<string, ObservedRow>();
  for (const row of rows) {
    const key = rowKey(row);
    const other = merged.get(key);
    if (other === undefined) merged.set(key, row);
    else
      merged.set(key, {
        ...other,
        count: other.count + row.count,
        first: Math.min(other.first, row.first),
        last: Math.max(other.last, row.last),
      });
  }
  return [...merged.values()];
}

function mergePeers(snapshots: readonly TelemetrySnapshot[]): PeerSnapshot[] {
  const byName = Map.groupBy(
    snapshots.flatMap((each) => each.peers),
    ({ peer }) => peer,
  );
  return [...byName].map(([peer, parts]) => {
    const total = (of: (part: PeerSnapshot) => HistogramData): HistogramData => {
      const histogram = structuredClone(of(parts[0] as PeerSnapshot));
      for (const part of parts.slice(1)) addHistogram(histogram, of(part));
      return histogram;
    };
    const routes = (direction: 0 | 1) => mergeRoutes(parts.flatMap((part) => part.routes[direction]));
    return {
      peer,
      routes: [routes(0), routes(1)],
      firstByte: [total((part) => part.firstByte[0]), total((part) => part.firstByte[1])],
      overhead: [total((part) => part.overhead[0]), total((part) => part.overhead[1])],
      skew: total((part) => part.skew),
    };
  });
}

function newest<Entry extends { readonly timeMs: number }>(entries: Entry[]): Entry[] {
  return entries.sort((a, b) => b.timeMs - a.timeMs);
}
