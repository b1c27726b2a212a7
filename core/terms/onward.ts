import { type Span, traceparentOf } from '../../signals/trace-context.ts';

/** What names a request, and goes on to the model with each call that it makes. */
export interface Onward {
  readonly requestId: string;
  /** As it came. */
  readonly traceparent: string | undefined;
  /** The request's span, when its trace is sampled and continued here. */
  readonly span: Span | undefined;
}

/** Its fields. @param span of the call, below that of the request; default: the request's own */
export function onwardFields(
  { requestId, traceparent, span: own }: Onward,
  span = own,
): Record<string, string> {
  const trace = span === undefined ? traceparent : traceparentOf(span);
  return { 'x-request-id': requestId, ...(trace !== undefined && { traceparent: trace }) };
}
