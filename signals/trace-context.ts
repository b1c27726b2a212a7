import { randomBytes } from 'node:crypto';

/** A span of ours in somebody's trace. Ids are lower-case hex. */
export interface Span {
  readonly traceId: string;
  readonly parentId: string;
  readonly spanId: string;
  /** Of the trace flags those that are passed on. */
  readonly flags: number;
}

const form = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const sampled = 0x01;
/** The trace id is random (W3C Trace Context Level 2 §3.2.2.5.2). */
const random = 0x02;
const zeroTrace = '0'.repeat(32);
const zeroParent = '0'.repeat(16);

/**
 * Continues a sampled trace with a new span. What is not sampled, or no traceparent, is not ours to touch.
 *
 * @see W3C Trace Context §3.2.2
 */
export function continueTrace(traceparent: string | undefined): Span | undefined {
  if (traceparent === undefined) return undefined;
  const [, version, traceId, parentId, flagText, further] = form.exec(traceparent) ?? [];
  if (traceId === undefined || parentId === undefined || flagText === undefined) return undefined;
  // Later versions may append to what this one has.
  if (version === 'ff' || (version === '00' && further !== undefined)) return undefined;
  if (traceId === zeroTrace || parentId === zeroParent) return undefined;
  const flags = Number.parseInt(flagText, 16);
  if ((flags & sampled) === 0) return undefined;
  return { traceId, parentId, spanId: newSpanId(), flags: flags & (sampled | random) };
}

/** A span below another one of ours. */
export function childOf({ traceId, spanId, flags }: Span): Span {
  return { traceId, parentId: spanId, spanId: newSpanId(), flags };
}

/** The field by which the next hop continues the trace below this span. */
export function traceparentOf({ traceId, spanId, flags }: Span): string {
  return `00-${traceId}-${spanId}-0${flags}`;
}

function newSpanId(): string {
  const id = randomBytes(8).toString('hex');
  return id === zeroParent ? newSpanId() : id;
}
