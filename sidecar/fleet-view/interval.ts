import { noBuckets, subtractBuckets } from '../telemetry/buckets.ts';
import type { HostState } from '../telemetry/documents.ts';
import type { MetricsDocument, PeerTimes, RouteTimes } from '../telemetry/metrics-document.ts';
import { type FleetSnapshot, sameHost } from './snapshot.ts';

/** What one sidecar counted between two snapshots, or since its start where there is one snapshot only. */
export interface Interval {
  readonly seconds: number;
  readonly metrics: MetricsDocument;
}

/**
 * The interval of every sidecar whose metrics were read.
 *
 * A sidecar that started in between counts from its start: whatever ran before it is not known.
 */
export function intervals(
  previous: FleetSnapshot | undefined,
  current: FleetSnapshot,
): Map<HostState, Interval> {
  const found = new Map<HostState, Interval>();
  for (const state of current.hosts) {
    const interval = intervalOf(state, sameHost(previous, state));
    if (interval !== undefined) found.set(state, interval);
  }
  return found;
}

function intervalOf(now: HostState, then: HostState | undefined): Interval | undefined {
  if (now.metrics === undefined) return undefined;
  const uptime = now.status?.uptime_seconds ?? 0;
  const before = then?.status?.uptime_seconds ?? Number.POSITIVE_INFINITY;
  if (then?.metrics === undefined || uptime <= before) return { seconds: uptime, metrics: now.metrics };
  return { seconds: uptime - before, metrics: subtractMetrics(now.metrics, then.metrics) };
}

/** What `now` counts beyond `then`; gauges are those of now. */
export function subtractMetrics(now: MetricsDocument, then: MetricsDocument): MetricsDocument {
  return {
    ...now,
    calls: subtractCounts(now.calls, then.calls),
    routes: subtractCounts(now.routes, then.routes),
    handshakes: subtractCounts(now.handshakes, then.handshakes),
    durations: subtractTimes(now.durations, then.durations),
    routeDurations: subtractTimes(now.routeDurations, then.routeDurations),
    firstBytes: subtractTimes(now.firstBytes, then.firstBytes),
    skew: now.skew.map(({ caller, sum, count }) => {
      const before = then.skew.find((each) => each.caller === caller);
      return { caller, sum: sum - (before?.sum ?? 0), count: count - (before?.count ?? 0) };
    }),
  };
}

/** Rows are the same when all but their count is. */
function subtractCounts<Row extends { readonly count: number }>(
  now: readonly Row[],
  then: readonly Row[],
): Row[] {
  const key = (row: Row) => JSON.stringify({ ...row, count: 0 });
  const before = new Map(then.map((row) => [key(row), row.count]));
  return now.map((row) => ({ ...row, count: row.count - (before.get(key(row)) ?? 0) }));
}

function subtractTimes<Row extends PeerTimes | RouteTimes>(now: readonly Row[], then: readonly Row[]): Row[] {
  const key = (row: Row) => `${row.direction}\n${row.peer}\n${'route' in row ? row.route : ''}`;
  const before = new Map(then.map((row) => [key(row), row.seconds]));
  return now.map((row) => ({
    ...row,
    seconds: subtractBuckets(row.seconds, before.get(key(row)) ?? noBuckets),
  }));
}
