import type { Span } from './trace-context.ts';

/** Values of attributes; undefined ones are left out. */
export type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

/** Numbers of OTLP's enum SpanKind. */
export const spanKind = { server: 2, client: 3 } as const;
/** Number of OTLP's enum StatusCode. */
const statusError = 2;
/** Number of OTLP's enum SeverityNumber. */
const severityWarn = 13;

export interface FinishedSpan {
  readonly span: Span;
  readonly name: string;
  readonly kind: keyof typeof spanKind;
  /** Milliseconds since the epoch. */
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Attributes;
  /** Why it failed; undefined when it did not. */
  readonly error: string | undefined;
}

export interface LogRecord {
  readonly timeMs: number;
  /** Names the kind of event. */
  readonly event: string;
  readonly body: string;
  readonly attributes: Attributes;
  /** The span that it belongs to, if any. */
  readonly span: Span | undefined;
}

/** One span in OTLP's JSON encoding. @see opentelemetry-proto trace.proto */
export function spanJson({ span, name, kind, startMs, endMs, attributes, error }: FinishedSpan): string {
  return JSON.stringify({
    traceId: span.traceId,
    spanId: span.spanId,
    parentSpanId: span.parentId,
    flags: span.flags,
    name,
    kind: spanKind[kind],
    startTimeUnixNano: nanoseconds(startMs),
    endTimeUnixNano: nanoseconds(endMs),
    attributes: keyValues(attributes),
    ...(error !== undefined && { status: { code: statusError, message: error } }),
  });
}

/** One log record in OTLP's JSON encoding. @see opentelemetry-proto logs.proto */
export function logJson({ timeMs, event, body, attributes, span }: LogRecord): string {
  return JSON.stringify({
    timeUnixNano: nanoseconds(timeMs),
    observedTimeUnixNano: nanoseconds(timeMs),
    severityNumber: severityWarn,
    severityText: 'WARN',
    eventName: event,
    body: { stringValue: body },
    attributes: keyValues(attributes),
    ...(span !== undefined && { traceId: span.traceId, spanId: span.spanId, flags: span.flags }),
  });
}

/** What is exported by OTLP. */
export type OtlpSignal = 'traces' | 'logs';

/**
 * The body of an export request: `texts` are spans or log records as made above.
 *
 * @param resource who exports: `service.name` and the like
 */
export function exportBody(
  signal: OtlpSignal,
  texts: readonly string[],
  resource: Attributes,
  version: string,
): string {
  const [ofResource, ofScope, items] =
    signal === 'traces'
      ? ['resourceSpans', 'scopeSpans', 'spans']
      : ['resourceLogs', 'scopeLogs', 'logRecords'];
  const about = JSON.stringify({ attributes: keyValues(resource) });
  const scope = JSON.stringify({ name: 'countersign', version });
  return `{"${ofResource}":[{"resource":${about},"${ofScope}":[{"scope":${scope},"${items}":[${texts.join()}]}]}]}`;
}

function keyValues(attributes: Attributes): object[] {
  return Object.entries(attributes).flatMap(([key, value]): object[] => {
    if (value === undefined) return [];
    if (typeof value === 'string') return [{ key, value: { stringValue: value } }];
    if (typeof value === 'boolean') return [{ key, value: { boolValue: value } }];
    const number = Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value };
    return [{ key, value: number }];
  });
}

/** 64-bit integers are decimal strings in JSON. */
function nanoseconds(ms: number): string {
  return `${BigInt(Math.round(ms * 1000)) * 1000n}`;
}

/** The time of day of a monotonic time of this thread, in milliseconds since the epoch; right also when the clock was set. */
export function epochMs(monotonicMs: number): number {
  const since = performance.timeOrigin + monotonicMs;
  const drift = Date.now() - performance.timeOrigin - performance.now();
  return Math.abs(drift) < 50 ? since : since + drift;
}
