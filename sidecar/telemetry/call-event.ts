import * as z from 'zod';
import { withoutTokens } from '../policy/path-template.ts';
import { type CallRecord, outcomeOf, reasonAt } from '../terms/call-record.ts';
import { denialEntry } from './denial-ring.ts';
import { detach, detachText } from './detach.ts';

const optionalText = z
  .string()
  .nullish()
  .transform((text) => text ?? undefined);

/**
 * A call that has ended, as `/events` tells of it: the data of a `call` when it was allowed, of a `denial` when it was
 * denied, refused or failed. Segments of paths that may be secrets are `*`.
 */
export const callEventSchema = z.object({
  /** When it ended. */
  time: z.iso.datetime({ offset: true }),
  request_id: z.string(),
  direction: z.enum(['inbound', 'outbound']),
  /** Proven (inbound) or the local service (outbound). */
  caller: optionalText,
  /** What an unproven call says of itself. */
  claimed: optionalText,
  callee: z.string(),
  method: z.string(),
  path: z.string(),
  verdict: z.enum(['allowed', 'denied']),
  /** Empty when allowed. */
  reason: z.string(),
  /** The rule that allowed it, or the nearest one. */
  rule: optionalText,
  detail: optionalText,
  disposition: z.enum(['forwarded', 'refused']),
  /** Of the answer; 0 when there was none. */
  status: z.int(),
  duration_seconds: z.number(),
  /** Whether it travelled inside TLS with the pair key; absent when it took no connection to another sidecar. */
  sealed: z.boolean().optional(),
});

export type CallEvent = z.output<typeof callEventSchema>;

/** The event of a call; its texts keep nothing of the wire alive. */
export function callEvent(call: CallRecord, claimed: string | undefined, nowMs: number): CallEvent {
  const { verdict } = call;
  const reason = reasonAt(outcomeOf(verdict));
  const ended = {
    time: new Date(nowMs).toISOString(),
    duration_seconds: (call.endedAtMs - call.startedAtMs) / 1000,
    ...(call.hop !== undefined && { sealed: call.hop.sealed }),
  };
  if (reason === '') {
    const rule = 'rule' in verdict ? verdict.rule : '';
    return {
      ...ended,
      request_id: detach(call.requestId, 128),
      direction: call.direction,
      caller: call.caller === undefined ? undefined : detach(call.caller),
      claimed: claimed === undefined ? undefined : detach(claimed, 64),
      callee: detach(call.callee),
      method: detach(call.method, 64),
      path: withoutTokens(detach(call.path)),
      verdict: 'allowed',
      reason,
      rule: rule === '' ? undefined : detachText(rule),
      detail: undefined,
      disposition: call.disposition,
      status: call.status,
    };
  }
  const denial = 'refused' in verdict ? verdict : 'denial' in verdict ? verdict.denial : { detail: '' };
  const {
    requestId,
    timeMs: _time,
    kid: _kid,
    expected: _expected,
    received: _received,
    caller,
    claimed: claims,
    rule,
    ...entry
  } = denialEntry(call, claimed, reason, denial, nowMs);
  return { ...ended, ...entry, request_id: requestId, caller, claimed: claims, rule, verdict: 'denied' };
}
