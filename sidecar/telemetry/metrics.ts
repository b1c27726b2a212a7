import { type Metric, Registry, type RegistryContentType } from 'prom-client';
import { reasonAt } from '../terms/call-record.ts';
import { type Family, gauge, type Sample } from './family.ts';
import {
  addHistogram,
  durationBounds,
  type HistogramData,
  newHistogram,
  overheadBounds,
  skewBounds,
  totalOf,
} from './histogram.ts';
import { processFamilies } from './process-metrics.ts';
import { addExemplars, type Exemplar, type RouteCounts } from './route-counts.ts';
import type { PeerSnapshot, TelemetrySnapshot } from './snapshot.ts';

export interface MetricsInfo {
  readonly phase: string;
  readonly version: string;
}

/** The text formats of metrics, by their media types. OpenMetrics has exemplars of sampled traces. */
export type MetricsFormat = 'prometheus' | 'openmetrics';

export const metricsContentType = {
  prometheus: Registry.PROMETHEUS_CONTENT_TYPE,
  openmetrics: Registry.OPENMETRICS_CONTENT_TYPE,
} as const;

/** The text exposition of a snapshot; prom-client writes it, so that names and escaping are as everywhere. */
export async function renderMetrics(
  snapshot: TelemetrySnapshot,
  info: MetricsInfo,
  format: MetricsFormat = 'prometheus',
): Promise<string> {
  const registry = new Registry<RegistryContentType>();
  registry.setContentType(metricsContentType[format]);
  for (const { name: full, help, type, values } of [
    ...callFamilies(snapshot, info),
    ...processFamilies(snapshot),
  ]) {
    // OpenMetrics names the family of a counter without the suffix of its samples.
    const name = format === 'openmetrics' && type === 'counter' ? full.replace(/_total$/, '') : full;
    const metric = { name, help, type, aggregator: 'sum', get: async () => ({ name, help, type, values }) };
    registry.registerMetric(metric as unknown as Metric);
  }
  return registry.metrics();
}

const directions = ['inbound', 'outbound'] as const;

function callFamilies(snapshot: TelemetrySnapshot, info: MetricsInfo): Family[] {
  const { peers, gauges, connections } = snapshot;
  return [
    {
      name: 'countersign_requests_total',
      help: 'Calls by verdict and status; reason is empty when allowed, peer is unknown unless proven, code is 0 without an answer.',
      type: 'counter',
      values: byDirection(peers, outcomes),
    },
    {
      name: 'countersign_request_duration_seconds',
      help: 'Time from the head of a request to the end of its response.',
      type: 'histogram',
      values: byDirection(peers, (labels, rows) =>
        histogram(
          'countersign_request_duration_seconds',
          durationBounds,
          durations(rows),
          labels,
          exemplars(rows),
        ),
      ),
    },
    timing(
      'countersign_time_to_first_byte_seconds',
      'Time from the head of a request to the first byte of its response, of calls that the other end answered.',
      durationBounds,
      peers,
      ({ firstByte }) => firstByte,
    ),
    timing(
      'countersign_overhead_seconds',
      'Time that calls were in the hands of this sidecar: their duration without the waits for either end.',
      overheadBounds,
      peers,
      ({ overhead }) => overhead,
    ),
    {
      name: 'countersign_route_requests_total',
      help: 'Calls by the rule that allowed them (none: no rule did) and status.',
      type: 'counter',
      values: byDirection(peers, (labels, rows) =>
        byRoute(rows).flatMap(([route, ofRoute]) =>
          codes(ofRoute).map(([code, value]) => ({ labels: { ...labels, route, code }, value })),
        ),
      ),
    },
    {
      name: 'countersign_route_duration_seconds',
      help: 'Time from the head of a request to the end of its response, by the rule that allowed it.',
      type: 'histogram',
      values: byDirection(peers, (labels, rows) =>
        byRoute(rows).flatMap(([route, ofRoute]) =>
          histogram(
            'countersign_route_duration_seconds',
            durationBounds,
            durations(ofRoute),
            { ...labels, route },
            exemplars(ofRoute),
          ),
        ),
      ),
    },
    {
      name: 'countersign_clock_skew_seconds',
      help: "Our clock minus created of proven calls: positive when the caller's clock is behind.",
      type: 'histogram',
      values: peers.flatMap(({ peer, skew }) =>
        histogram('countersign_clock_skew_seconds', skewBounds, skew, { caller: peer }),
      ),
    },
    {
      name: 'countersign_key_age_seconds',
      help: 'Seconds since this sidecar first had the key.',
      type: 'gauge',
      values: gauges.keyAges.map(({ kid, seconds }) => ({ labels: { kid }, value: seconds })),
    },
    {
      name: 'countersign_key_uses_total',
      help: 'Proven inbound calls and signed outbound calls by key id.',
      type: 'counter',
      values: snapshot.keyUses.map(([kid, value]) => ({ labels: { kid }, value })),
    },
    gauge('countersign_replay_entries', 'Live nonces in the replay memory.', [
      { labels: {}, value: gauges.replayEntries },
    ]),
    gauge(
      'countersign_in_flight',
      'Calls that have begun and not ended; a WebSocket has ended when it is open.',
      directions.map((direction, index) => ({
        labels: { direction },
        value: snapshot.inFlight[index] as number,
      })),
    ),
    gauge(
      'countersign_connections',
      'Open connections from downstream.',
      directions.map((direction, index) => ({ labels: { direction }, value: connections[index] as number })),
    ),
    gauge(
      'countersign_hop_connections',
      'Open connections between sidecars: inside TLS with the pair key (sealed), or in the clear (plain).',
      snapshot.hopCounts.flatMap(({ direction, peer, sealed, plain }) => [
        { labels: { direction, peer, state: 'sealed' }, value: sealed },
        { labels: { direction, peer, state: 'plain' }, value: plain },
      ]),
    ),
    {
      name: 'countersign_handshakes_total',
      help: 'TLS handshakes between sidecars by result; peer is unknown unless proven or dialled.',
      type: 'counter',
      values: snapshot.hopCounts.flatMap(({ direction, peer, handshakes }) =>
        Object.entries(handshakes)
          .filter(([, value]) => value > 0)
          .map(([result, value]) => ({ labels: { direction, peer, result }, value })),
      ),
    },
    gauge('countersign_phase_info', 'Which binary runs.', [{ labels: { ...info }, value: 1 }]),
    {
      name: 'countersign_denials_not_logged_total',
      help: 'Denials that the log only counts in a summary.',
      type: 'counter',
      values: [{ labels: {}, value: snapshot.suppressedLogs }],
    },
    {
      name: 'countersign_exports_dropped_total',
      help: 'Spans (traces), denials (logs) and lines of the access log (access) that were lost on their way.',
      type: 'counter',
      values: Object.entries(snapshot.signalsDropped ?? {}).flatMap(([signal, value]) =>
        value === undefined ? [] : [{ labels: { signal }, value }],
      ),
    },
    {
      name: 'countersign_observations_dropped_total',
      help: 'Calls that found no room in the table of observations.',
      type: 'counter',
      values: [{ labels: {}, value: snapshot.overflow }],
    },
  ];
}

/** The newest exemplar of each bucket, over several rows. */
function exemplars(rows: readonly RouteCounts[]): (Exemplar | undefined)[] {
  const newest: (Exemplar | undefined)[] = [];
  for (const row of rows) addExemplars(newest, row.exemplars);
  return newest;
}

function exemplar(of: Exemplar | undefined): Pick<Sample, 'exemplar'> {
  if (of === undefined) return {};
  const { traceId, spanId, seconds, timeMs } = of;
  return {
    exemplar: { labelSet: { trace_id: traceId, span_id: spanId }, value: seconds, timestamp: timeMs / 1000 },
  };
}

/** A histogram that each peer has for either direction. */
function timing(
  name: string,
  help: string,
  bounds: readonly number[],
  peers: readonly PeerSnapshot[],
  of: (peer: PeerSnapshot) => readonly [HistogramData, HistogramData],
): Family {
  const values = peers.flatMap((peer) =>
    directions.flatMap((direction, index) =>
      histogram(name, bounds, of(peer)[index] as HistogramData, { direction, peer: peer.peer }),
    ),
  );
  return { name, help, type: 'histogram', values };
}

interface PeerLabels extends Readonly<Record<string, string>> {
  readonly direction: string;
  readonly peer: string;
}

function byDirection(
  peers: readonly PeerSnapshot[],
  samples: (labels: PeerLabels, rows: readonly RouteCounts[]) => Sample[],
): Sample[] {
  return peers.flatMap(({ peer, routes }) =>
    directions.flatMap((direction, index) =>
      samples({ direction, peer }, routes[index] as readonly RouteCounts[]),
    ),
  );
}

function outcomes(labels: PeerLabels, rows: readonly RouteCounts[]): Sample[] {
  return [...Map.groupBy(rows, ({ outcome }) => outcome)].flatMap(([outcome, alike]) => {
    const verdict = outcome === 0 ? 'allowed' : 'denied';
    const reason = reasonAt(outcome);
    return codes(alike).map(([code, value]) => ({ labels: { ...labels, verdict, reason, code }, value }));
  });
}

function byRoute(rows: readonly RouteCounts[]): [route: string, rows: RouteCounts[]][] {
  return [...Map.groupBy(rows, ({ route }) => route)];
}

/** How often each status was given, over several rows. */
function codes(rows: readonly RouteCounts[]): [code: string, count: number][] {
  const sums = new Map<string, number>();
  for (const row of rows)
    row.codes.forEach((code, place) => {
      sums.set(String(code), (sums.get(String(code)) ?? 0) + (row.counts[place] as number));
    });
  return [...sums];
}

function durations(rows: readonly RouteCounts[]): HistogramData {
  const sum = newHistogram(durationBounds);
  for (const { duration } of rows) addHistogram(sum, duration);
  return sum;
}

function histogram(
  name: string,
  bounds: readonly number[],
  data: HistogramData,
  labels: Readonly<Record<string, string>>,
  exemplars: readonly (Exemplar | undefined)[] = [],
): Sample[] {
  const total = totalOf(data);
  if (total === 0) return [];
  let upTo = 0;
  const buckets = bounds.map((le, index): Sample => {
    upTo += data.counts[index] as number;
    return {
      metricName: `${name}_bucket`,
      labels: { le, ...labels },
      value: upTo,
      ...exemplar(exemplars[index]),
    };
  });
  return [
    ...buckets,
    {
      metricName: `${name}_bucket`,
      labels: { le: '+Inf', ...labels },
      value: total,
      ...exemplar(exemplars[bounds.length]),
    },
    { metricName: `${name}_sum`, labels, value: data.sum },
    { metricName: `${name}_count`, labels, value: total },
  ];
}
