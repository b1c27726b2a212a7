import type { CallRecord } from '../../sidecar/terms/call-record.ts';

/** An allowed inbound call that took 2 ms, changed as told. */
export function callRecord(changes: Partial<CallRecord> = {}): CallRecord {
  return {
    direction: 'inbound',
    requestId: 'r-1',
    caller: 'main-backend',
    callee: 'npu-worker',
    method: 'GET',
    path: '/api/status/42',
    kid: 'main-backend/3',
    skewSeconds: 0.4,
    startedAtMs: 1000,
    firstByteAtMs: 1001.5,
    endedAtMs: 1002,
    overheadMs: 0.2,
    verdict: {
      allowed: true,
      caller: 'main-backend',
      kid: 'main-backend/3',
      rule: 'main-backend: GET /api/status/*',
    },
    disposition: 'forwarded',
    status: 200,
    ...changes,
  };
}

/** A call denied for want of a rule. */
export function deniedRecord(changes: Partial<CallRecord> = {}): CallRecord {
  return callRecord({
    verdict: {
      allowed: false,
      caller: 'main-backend',
      denial: {
        reason: 'not-authorized',
        detail: 'No rule allows main-backend DELETE /api/status/42.',
        rule: 'GET /api/status/*',
        expected: 'GET',
        received: 'DELETE',
      },
    },
    method: 'DELETE',
    firstByteAtMs: undefined,
    disposition: 'refused',
    status: 403,
    ...changes,
  });
}

/** A call without a signature, by somebody who claims a name. */
export function strangerRecord(changes: Partial<CallRecord> = {}): CallRecord {
  const { caller: _caller, kid: _kid, skewSeconds: _skew, ...call } = callRecord();
  return {
    ...call,
    claimed: 'main-backend',
    verdict: {
      allowed: false,
      claimed: 'main-backend',
      denial: { reason: 'missing-signature', detail: 'The call has no Signature field.' },
    },
    disposition: 'refused',
    status: 401,
    ...changes,
  };
}
