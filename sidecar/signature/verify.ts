import { timingSafeEqual } from 'node:crypto';
import type { DenialReason } from '../errors.ts';
import type { Keyring } from '../keyring/keyring.ts';
import type { Denial } from '../policy/verdict.ts';
import { applyRules, type CheckedCoverage } from './coverage-rules.ts';
import type { PairKey } from './hmac.ts';
import type { SignableRequest } from './message.ts';
import { findOurMember, type OurMember, rememberCoverage } from './our-member.ts';
import { componentHashes, signatureBase } from './signature-base.ts';
import { SignatureError } from './signature-error.ts';
import { show } from './signature-params.ts';
import { headTag, trailerTag, windowSeconds } from './tags.ts';

/** What the signature of a request proves, before the replay memory has had its say. */
export type Proof =
  | {
      readonly proven: true;
      readonly caller: string;
      readonly kid: string;
      readonly nonce: string;
      /** Seconds since the epoch. */
      readonly created: number;
      readonly expires: number | undefined;
      /** The label of our member: what the trailer signature of the streaming form names. */
      readonly label: string;
      /** Whether the digest is in the trailer section, still to come. */
      readonly streaming: boolean;
      /** The Content-Digest field as received, when it is covered: what the body must match. */
      readonly digest: string | undefined;
      /** Seconds by which our clock is ahead of `created`; negative when it is behind. */
      readonly skewSeconds: number;
      /** Neither signature field holds anything beside our member. */
      readonly alone: boolean;
      /** What the trailer signature is made with too. */
      readonly key: PairKey;
      readonly coverage: CheckedCoverage;
    }
  | Unproven;

export interface Unproven {
  readonly proven: false;
  readonly denial: Denial;
  /** The name in X-Service-ID, if it could be one. */
  readonly claimed?: string;
  readonly kid?: string;
  readonly created?: number;
}

const serviceName = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

const macLength = 44;
const expectedMac = Buffer.alloc(macLength);
const receivedMac = Buffer.alloc(macLength);

/** Compares in constant time two MACs in base64, of which a received one has the canonical form. */
function sameMac(expected: string, received: string): boolean {
  if (received.length !== macLength) return false;
  expectedMac.write(expected, 0, macLength, 'latin1');
  receivedMac.write(received, 0, macLength, 'latin1');
  return timingSafeEqual(expectedMac, receivedMac);
}

/** A denial, with what the sender says of itself. */
function deny(
  head: SignableRequest,
  member: OurMember | undefined,
  reason: DenialReason,
  detail: string,
  fields: Partial<Denial> = {},
): Unproven {
  const identity = head.field('x-service-id');
  return {
    proven: false,
    denial: { reason, detail, ...fields },
    ...(identity !== undefined && serviceName.test(identity) ? { claimed: identity } : undefined),
    ...(member === undefined ? undefined : { kid: member.params.keyid, created: member.params.created }),
  };
}

/**
 * Checks the signature of a request: all that can be said without a memory of earlier calls, in the order in
 * which reasons are reported.
 *
 * @param audience authorities, in lower case, that mean this service on this host
 * @param nowMs milliseconds since the epoch
 * @see RFC 9421 §3.2
 */
export function verifyRequest(
  head: SignableRequest,
  keyring: Keyring,
  audience: ReadonlySet<string>,
  nowMs: number,
): Proof {
  const identity = head.field('x-service-id');
  let member: OurMember | undefined;
  try {
    member = findOurMember(head.field('signature-input'), head.field('signature'), headTag);
  } catch (error) {
    if (!(error instanceof SignatureError)) throw error;
    return deny(head, undefined, 'malformed-signature', `${error.message}.`);
  }
  if (member === undefined) return missing(head);
  const { coverage, params, label } = member;
  const kid = params.keyid;

  const form = applyRules(coverage, head);
  if (typeof form !== 'string') {
    const names = form.missing.map((name) => `"${name}"`).join(' ');
    const hint = form.hint === undefined ? '' : ` (${form.hint})`;
    return deny(
      head,
      member,
      'insufficient-coverage',
      `The signature leaves out ${names}${hint}; sign these as well.`,
      {
        expected: names,
        received: coverage.text,
      },
    );
  }

  const named = kid.slice(0, Math.max(0, kid.lastIndexOf('/')));
  if (identity !== named)
    return deny(
      head,
      member,
      'caller-mismatch',
      `X-Service-ID is ${identity === undefined ? 'missing' : show(identity)}, the key id is ${show(kid)}; expected the caller that the key id names.`,
      { expected: named, received: identity ?? '' },
    );

  const inbound = keyring.inbound.get(kid);
  if (inbound === undefined)
    return deny(head, member, 'unknown-key', unknownKey(kid, named, keyring), { received: kid });
  if (inbound.caller !== named)
    return deny(head, member, 'caller-mismatch', `The key ${show(kid)} belongs to ${inbound.caller}.`, {
      expected: inbound.caller,
      received: named,
    });
  if (nowMs >= inbound.notAfterMs)
    return deny(
      head,
      member,
      'expired-key',
      `The key ${kid} was retired at ${new Date(inbound.notAfterMs).toISOString()}; the caller should sign with its newest key.`,
      { received: kid },
    );

  if (!audience.has(head.authority)) {
    const names = [...audience].join(', ');
    return deny(
      head,
      member,
      'wrong-audience',
      `The call is addressed to ${show(head.authority)}; this is ${names}.`,
      { expected: names, received: head.authority },
    );
  }

  const skewSeconds = Math.floor(nowMs / 1000) - params.created;
  if (
    Math.abs(skewSeconds) > windowSeconds ||
    (params.expires !== undefined && nowMs > params.expires * 1000)
  )
    return deny(head, member, 'outside-window', outsideWindow(skewSeconds, params.expires), {
      expected: `created within ${windowSeconds} s of ${Math.floor(nowMs / 1000)}`,
      received: `created=${params.created}${params.expires === undefined ? '' : `;expires=${params.expires}`}`,
    });

  const mismatch = checkMac(member, inbound.key, head);
  if (mismatch !== undefined) return deny(head, member, mismatch.reason, mismatch.detail, mismatch);
  rememberCoverage(coverage);

  return {
    proven: true,
    caller: inbound.caller,
    kid,
    nonce: params.nonce as string,
    created: params.created,
    label,
    streaming: form === 'streaming',
    expires: params.expires,
    digest: form === 'digest' ? head.field('content-digest') : undefined,
    skewSeconds,
    alone: member.alone,
    key: inbound.key,
    coverage,
  };
}

function missing(head: SignableRequest): Unproven {
  const found =
    head.field('signature-input') === undefined
      ? 'there is no Signature-Input field'
      : `no member of Signature-Input has tag="${headTag}"`;
  return deny(
    head,
    undefined,
    'missing-signature',
    `The call is not signed: ${found}. Send it through the caller's sidecar, or sign it with countersign sign.`,
  );
}

function unknownKey(kid: string, caller: string, keyring: Keyring): string {
  const known = [...keyring.inbound.values()].filter((key) => key.caller === caller).map((key) => key.kid);
  const have = known.length > 0 ? `has ${known.join(', ')}` : 'has no key of that caller';
  return `The key ${show(kid)} is not in the keyring of ${keyring.service} on ${keyring.host}, which ${have}; deliver the keyrings again, or wait for the rotation to finish.`;
}

function outsideWindow(skewSeconds: number, expires: number | undefined): string {
  const off = Math.abs(skewSeconds);
  if (off <= windowSeconds) return `The signature expired at ${expires}; sign the call again.`;
  const when = skewSeconds > 0 ? 'ago' : 'in the future';
  return `The call was signed ${off} s ${when}; at most ${windowSeconds} s are allowed. Compare the clocks of both hosts.`;
}

/** The denial when the MAC is not the one that the key makes of this message. */
function checkMac(member: OurMember, key: PairKey, head: SignableRequest): Denial | undefined {
  let base: string;
  try {
    base = signatureBase(member.coverage, member.params.text, head);
  } catch (error) {
    if (!(error instanceof SignatureError)) throw error;
    return {
      reason: 'signature-mismatch',
      detail: `${error.message}.`,
      received: hashes(member, head),
    };
  }
  if (sameMac(key.macBase64(base), member.mac)) return undefined;
  return {
    reason: 'signature-mismatch',
    detail:
      'The signature does not match what was received: a covered value was changed on the way, or the two ends have different keys under one key id. Compare the hashes of the covered values with those of the caller.',
    received: hashes(member, head),
  };
}

const hashes = ({ coverage, params }: Pick<OurMember, 'coverage' | 'params'>, head: SignableRequest) =>
  componentHashes(head, coverage, params.nonce)
    .map(({ component, hash }) => `${component}=${hash}`)
    .join(' ');

/**
 * Checks the trailer signature of the streaming form, once the trailer section has arrived; undefined when it
 * holds. It binds the digest to the head's signature, so it needs no nonce and no window of its own.
 */
export function verifyTrailer(
  proof: Extract<Proof, { proven: true }>,
  head: SignableRequest,
): Denial | undefined {
  let member: OurMember | undefined;
  try {
    member = findOurMember(head.trailer('signature-input'), head.trailer('signature'), trailerTag);
  } catch (error) {
    if (!(error instanceof SignatureError)) throw error;
    return { reason: 'malformed-signature', detail: `The trailer: ${error.message}.` };
  }
  if (member === undefined)
    return {
      reason: 'missing-signature',
      detail: `The trailer has no signature with tag="${trailerTag}"; a streamed body ends with one.`,
    };
  const expected = [`"content-digest";tr`, `"signature";key="${proof.label}"`];
  const received = member.coverage.components.map(({ identifier }) => identifier);
  if ([...received].sort().join() !== [...expected].sort().join())
    return {
      reason: 'insufficient-coverage',
      detail: `The trailer signature covers ${member.coverage.text}; expected (${expected.join(' ')}).`,
      expected: `(${expected.join(' ')})`,
      received: member.coverage.text,
    };
  if (member.params.keyid !== proof.kid)
    return {
      reason: 'unknown-key',
      detail: `The trailer is signed with ${show(member.params.keyid)}, the head with ${proof.kid}; expected one key.`,
      expected: proof.kid,
      received: member.params.keyid,
    };
  const mismatch = checkMac(member, proof.key, head);
  if (mismatch === undefined) rememberCoverage(member.coverage);
  return mismatch;
}
