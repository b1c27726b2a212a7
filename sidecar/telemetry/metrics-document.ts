import type { Direction } from '../terms/call-record.ts';
import type { Buckets } from './buckets.ts';

/** Calls that ended alike. */
export interface CallCount {
  readonly direction: Direction;
  /** A fleet service, or `unknown`. */
  readonly peer: string;
  readonly verdict: 'allowed' | 'denied';
  /** Empty when allowed. */
  readonly reason: string;
  /** Status of the answer; 0 when there was none. */
  readonly code: number;
  readonly count: number;
}

/** Calls that one rule allowed, by status; `none` where this end knows no rule. */
export interface RouteCount {
  readonly direction: Direction;
  readonly peer: string;
  readonly route: string;
  readonly code: number;
  readonly count: number;
}

export interface PeerTimes {
  readonly direction: Direction;
  readonly peer: string;
  readonly seconds: Buckets;
}

export interface RouteTimes extends PeerTimes {
  readonly route: string;
}

/** What `/metrics` tells of calls, as data. All of it counts from the start of the sidecar. */
export interface MetricsDocument {
  readonly calls: readonly CallCount[];
  readonly durations: readonly PeerTimes[];
  readonly routes: readonly RouteCount[];
  readonly routeDurations: readonly RouteTimes[];
  /** Until the first byte of the answer. */
  readonly firstBytes: readonly PeerTimes[];
  /** Positive when the caller's clock is behind; of proven calls. */
  readonly skew: readonly { readonly caller: string; readonly sum: number; readonly count: number }[];
  readonly keyAges: readonly { readonly kid: string; readonly seconds: number }[];
  readonly handshakes: readonly {
    readonly direction: Direction;
    readonly peer: string;
    readonly result: string;
    readonly count: number;
  }[];
  /** Proven inbound calls and signed outbound calls. */
  readonly keyUses: readonly { readonly kid: string; readonly count: number }[];
  /** Inbound calls under way; undefined for a sidecar that does not tell. */
  readonly inFlight: number | undefined;
}

type Labels = Readonly<Record<string, string>>;

interface Line {
  readonly labels: Labels;
  readonly value: number;
}

/** The names that are read; everything else is skipped before its labels are looked at. */
const wanted = new Set([
  'countersign_requests_total',
  'countersign_request_duration_seconds_bucket',
  'countersign_route_requests_total',
  'countersign_route_duration_seconds_bucket',
  'countersign_time_to_first_byte_seconds_bucket',
  'countersign_clock_skew_seconds_sum',
  'countersign_clock_skew_seconds_count',
  'countersign_key_age_seconds',
  'countersign_key_uses_total',
  'countersign_handshakes_total',
  'countersign_in_flight',
]);

/** Reads the text exposition of a sidecar (Prometheus text or OpenMetrics); lines that are none are skipped. */
export function readMetrics(text: string): MetricsDocument {
  const byName = linesByName(text);
  const lines = (name: string) => byName.get(`countersign_${name}`) ?? [];
  const skewCounts = new Map(
    lines('clock_skew_seconds_count').map(({ labels, value }) => [labels.caller, value]),
  );
  const inFlight = lines('in_flight').filter(({ labels }) => labels.direction !== 'outbound');
  return {
    calls: lines('requests_total').map(({ labels, value }) => ({
      ...peerOf(labels),
      verdict: labels.verdict === 'allowed' ? 'allowed' : 'denied',
      reason: labels.reason ?? '',
      code: Number(labels.code ?? 0),
      count: value,
    })),
    durations: histograms(lines('request_duration_seconds_bucket')),
    routes: lines('route_requests_total').map(({ labels, value }) => ({
      ...peerOf(labels),
      route: labels.route ?? '',
      code: Number(labels.code ?? 0),
      count: value,
    })),
    routeDurations: histograms(lines('route_duration_seconds_bucket')),
    firstBytes: histograms(lines('time_to_first_byte_seconds_bucket')),
    skew: lines('clock_skew_seconds_sum').map(({ labels, value }) => ({
      caller: labels.caller ?? '',
      sum: value,
      count: skewCounts.get(labels.caller) ?? 0,
    })),
    keyAges: lines('key_age_seconds').map(({ labels, value }) => ({ kid: labels.kid ?? '', seconds: value })),
    handshakes: lines('handshakes_total').map(({ labels, value }) => ({
      ...peerOf(labels),
      result: labels.result ?? '',
      count: value,
    })),
    keyUses: lines('key_uses_total').map(({ labels, value }) => ({ kid: labels.kid ?? '', count: value })),
    inFlight: inFlight.length === 0 ? undefined : inFlight.reduce((sum, { value }) => sum + value, 0),
  };
}

function peerOf({ direction, peer = '' }: Labels): { direction: Direction; peer: string } {
  return { direction: direction === 'outbound' ? 'outbound' : 'inbound', peer };
}

const sample = /^([a-zA-Z_:][\w:]*)(?:\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})? (\S+)/;
const label = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;

function linesByName(text: string): Map<string, Line[]> {
  const found = new Map<string, Line[]>();
  for (let start = 0; start < text.length; ) {
    const newline = text.indexOf('\n', start);
    const end = newline < 0 ? text.length : newline;
    const match = text[start] === '#' ? null : sample.exec(text.slice(start, end));
    start = end + 1;
    if (match === null) continue;
    const [, name, labels = '', value] = match as unknown as [string, string, string | undefined, string];
    if (!wanted.has(name)) continue;
    const line = { labels: labelsIn(labels), value: numberOf(value) };
    const list = found.get(name);
    if (list === undefined) found.set(name, [line]);
    else list.push(line);
  }
  return found;
}

function labelsIn(text: string): Labels {
  const labels: Record<string, string> = Object.create(null);
  for (const [, name, value] of text.matchAll(label) as Iterable<[string, string, string]>)
    labels[name] = value.includes('\\') ? value.replace(/\\(.)/g, unescaped) : value;
  return labels;
}

function unescaped(_match: string, character: string): string {
  return character === 'n' ? '\n' : character;
}

/** A value or bound; the text exposition writes infinity as `+Inf`. */
function numberOf(text: string): number {
  return text === '+Inf' ? Number.POSITIVE_INFINITY : Number(text) || 0;
}

function histograms(lines: readonly Line[]): RouteTimes[] {
  const found = new Map<string, { of: Labels; bounds: number[]; cumulative: number[] }>();
  for (const { labels, value } of lines) {
    const key = `${labels.direction}\n${labels.peer}\n${labels.route}`;
    let histogram = found.get(key);
    if (histogram === undefined) {
      histogram = { of: labels, bounds: [], cumulative: [] };
      found.set(key, histogram);
    }
    histogram.bounds.push(numberOf(labels.le ?? ''));
    histogram.cumulative.push(value);
  }
  return [...found.values()].map(({ of, bounds, cumulative }) => ({
    ...peerOf(of),
    route: of.route ?? '',
    seconds: { bounds, cumulative },
  }));
}
