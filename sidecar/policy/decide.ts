import type { SignableRequest } from '../signature/message.ts';
import type { VerifierKeys } from '../signature/verifier-keys.ts';
import { type Proof, verifyRequest } from '../signature/verify.ts';
import type { HopKind } from '../terms/handshake.ts';
import type { Denial, Verdict } from '../terms/verdict.ts';
import { authorize, isPublic } from './authorize.ts';
import { furtherReadings } from './call-readings.ts';
import type { ServiceRules } from './matrix.ts';
import type { OperatorDocument } from './operator-reads.ts';

/** What the replay memory says of a nonce; see replay/. `unmarked`: ask again once a durable mark covers it. */
export type Admission = 'fresh' | 'replayed' | 'full' | 'lost' | 'ahead' | 'unmarked';

/** All that a verdict depends on beside the request itself. */
export interface Circumstances {
  readonly keyring: VerifierKeys;
  readonly rules: ServiceRules;
  /** Authorities that mean this service on this host. */
  readonly audience: ReadonlySet<string>;
  /** The caller that the connection has proven; without it the connection is plain. */
  readonly peer?: string | undefined;
  /** Fields that fleet.yaml lists under `covered_fields`. */
  readonly coveredFields?: readonly string[];
  /** The document that the request reads where the peer is an operator and has signed it: no rule is asked then. */
  readonly document?: OperatorDocument | undefined;
  readonly replay: { admit(kid: string, nonce: string, created: number, hop: HopKind): Admission };
  /** Milliseconds since the epoch. */
  readonly nowMs: number;
}

type Proven = Extract<Proof, { proven: true }>;

/** A verdict, and the proof of who calls: present only if the MAC holds and the nonce is fresh. */
export interface Decision {
  readonly verdict: Verdict;
  readonly proof: Proven | undefined;
  /** The route is public: the call passes whoever makes it. */
  readonly open: boolean;
  /** It is no call of the service, but reads this document of its sidecar. */
  readonly document?: OperatorDocument;
}

/** The decision has to wait until the caller's durable mark covers `created`. */
export interface Unmarked {
  readonly unmarked: { readonly kid: string; readonly created: number };
}

/**
 * The check of one request head: who calls, whether the call is fresh, whether the matrix allows it. The digest of
 * the body is not part of it; it is checked once the body has come.
 *
 * Pure, but for the replay memory's one insertion.
 */
export function decide(head: SignableRequest, given: Circumstances): Decision | Unmarked {
  const proof = verifyRequest(
    head,
    given.keyring,
    given.audience,
    given.nowMs,
    given.peer,
    given.coveredFields,
  );
  if (!proof.proven) return unproven(head, given, proof.denial, proof);
  const { caller, kid } = proof;
  const admission = given.replay.admit(
    kid,
    proof.nonce,
    proof.created,
    given.peer === undefined ? 'plain' : 'sealed',
  );
  if (admission === 'unmarked') return { unmarked: { kid, created: proof.created } };
  if (admission !== 'fresh')
    return unproven(head, given, notFresh[admission](caller), { claimed: caller, kid });
  const { document } = given;
  if (document !== undefined && caller === given.peer) {
    const rule = `operators: ${head.method} ${head.path}`;
    return { verdict: { allowed: true, rule, caller, kid }, proof, open: false, document };
  }
  const authorization = authorize(given.rules, caller, head.method, head.path, furtherReadings(head));
  const verdict: Verdict =
    authorization.kind === 'denied'
      ? { allowed: false, denial: authorization.denial, caller, kid }
      : { allowed: true, rule: authorization.rule, caller, kid };
  return { verdict, proof, open: authorization.kind === 'public' };
}

/** A call of nobody in particular: public routes are open to it, nothing else is. */
function unproven(
  head: SignableRequest,
  given: Circumstances,
  denial: Denial,
  claim: { readonly claimed?: string; readonly kid?: string },
): Decision {
  const rule = isPublic(given.rules, head.method, head.path, furtherReadings(head));
  if (rule !== undefined) return { verdict: { allowed: true, rule }, proof: undefined, open: true };
  const { claimed, kid } = claim;
  return {
    verdict: {
      allowed: false,
      denial,
      ...(claimed === undefined ? undefined : { claimed }),
      ...(kid === undefined ? undefined : { kid }),
    },
    proof: undefined,
    open: false,
  };
}

const notFresh: Readonly<Record<'replayed' | 'full' | 'lost' | 'ahead', (caller: string) => Denial>> = {
  replayed: () => ({
    reason: 'replayed',
    detail: 'This very call, with this nonce, has been accepted before; every call needs a nonce of its own.',
  }),
  lost: () => ({
    reason: 'memory-lost',
    detail:
      'The sidecar stopped without handing over its replay memory, so it cannot tell whether it has seen this call; sign the call again now.',
  }),
  ahead: () => ({
    reason: 'outside-window',
    detail:
      "The signature is further ahead than this sidecar's own clock, which was set forward a short while ago, has run since; look at the clocks of both hosts.",
  }),
  full: (caller) => ({
    reason: 'replay-memory-full',
    detail: `${caller} has used up its quota of the replay memory; its calls are refused until older ones expire.`,
  }),
};
