import { withoutTokens } from '../policy/path-template.ts';
import type { CallRecord } from '../terms/call-record.ts';
import { reasonOf } from './call-signals.ts';

/** A line of the access log: one call as JSON. Times are RFC 3339; durations are milliseconds. */
export function accessLine(call: CallRecord, nowMs: number): string {
  const { verdict, hop, span, caller } = call;
  const isAllowed = !('refused' in verdict) && verdict.allowed;
  return JSON.stringify({
    time: new Date(nowMs).toISOString(),
    request_id: call.requestId,
    direction: call.direction,
    caller,
    claimed: caller === undefined ? call.claimed?.slice(0, 64) : undefined,
    callee: call.callee.slice(0, 255),
    method: call.method.slice(0, 64),
    path: withoutTokens(call.path.slice(0, 1024)),
    status: call.status,
    verdict: isAllowed ? 'allowed' : 'denied',
    reason: reasonOf(call),
    rule: isAllowed && verdict.rule !== '' ? verdict.rule : undefined,
    disposition: call.disposition,
    kid: call.kid,
    host: hop?.host,
    sealed: hop?.sealed,
    ms: rounded(call.endedAtMs - call.startedAtMs),
    first_byte_ms:
      call.firstByteAtMs === undefined ? undefined : rounded(call.firstByteAtMs - call.startedAtMs),
    overhead_ms: rounded(call.overheadMs),
    trace_id: span?.traceId,
    span_id: span?.spanId,
  });
}

/** To microseconds. */
function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
