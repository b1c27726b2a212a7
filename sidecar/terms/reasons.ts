/**
 * Every reason for which a call may be refused, in one table.
 *
 * `stage` says who decides: `verdict` reasons are the outcome of the security check and only the enforcing
 * binary acts on them; `protocol` and `transport` reasons hold in both binaries.
 */
export const reasons = {
  'malformed-request': { status: 400, stage: 'protocol', title: 'The message is not well-formed HTTP' },
  'not-implemented': { status: 501, stage: 'protocol', title: 'This method or protocol is not served here' },
  'version-not-supported': { status: 505, stage: 'protocol', title: 'Only HTTP/1.0 and HTTP/1.1 are served' },
  'missing-signature': { status: 401, stage: 'verdict', title: 'The call carries no Countersign signature' },
  'malformed-signature': { status: 401, stage: 'verdict', title: 'The signature fields cannot be parsed' },
  'insufficient-coverage': {
    status: 401,
    stage: 'verdict',
    title: 'The signature does not cover enough of the call',
  },
  'caller-mismatch': {
    status: 401,
    stage: 'verdict',
    title: 'X-Service-ID is not the caller that the key id names',
  },
  'unknown-key': { status: 401, stage: 'verdict', title: 'The key id is not in the keyring' },
  'expired-key': { status: 401, stage: 'verdict', title: 'The key has been retired' },
  'wrong-audience': { status: 401, stage: 'verdict', title: 'The call was signed for another service' },
  'outside-window': { status: 401, stage: 'verdict', title: 'The signature is too old, or from the future' },
  'signature-mismatch': { status: 401, stage: 'verdict', title: 'The signature does not match the call' },
  'memory-lost': {
    status: 401,
    stage: 'verdict',
    title: 'The replay memory does not reach back to this call',
  },
  replayed: { status: 401, stage: 'verdict', title: 'The call has been made before' },
  'replay-memory-full': { status: 503, stage: 'verdict', title: 'The caller has used up its replay memory' },
  'ambiguous-path': { status: 400, stage: 'verdict', title: 'The path can be read in more than one way' },
  'not-authorized': { status: 403, stage: 'verdict', title: 'No rule of the matrix allows the call' },
  'digest-mismatch': { status: 401, stage: 'verdict', title: 'The body is not the one that was signed' },
  'peer-unproven': { status: 502, stage: 'verdict', title: 'The callee did not prove the pair key' },
  'request-timeout': { status: 408, stage: 'transport', title: 'The request did not arrive in time' },
  'content-too-large': { status: 413, stage: 'transport', title: 'The body is too large' },
  'head-too-large': { status: 431, stage: 'transport', title: 'The head of the request is too large' },
  'unknown-callee': { status: 502, stage: 'transport', title: 'No such service in the fleet' },
  'upstream-failed': { status: 502, stage: 'transport', title: 'The upstream did not answer properly' },
  'too-many-connections': {
    status: 503,
    stage: 'transport',
    title: 'The sidecar serves as many connections as it may',
  },
  'upstream-timeout': { status: 504, stage: 'transport', title: 'The upstream did not answer in time' },
} as const satisfies Record<
  string,
  { status: number; stage: 'protocol' | 'verdict' | 'transport'; title: string }
>;

export type Reason = keyof typeof reasons;

/** Reasons that the check of a call can end in, in the order in which they are tried. */
export type DenialReason = {
  [R in Reason]: (typeof reasons)[R]['stage'] extends 'verdict' ? R : never;
}[Reason];
