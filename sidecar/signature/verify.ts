import { timingSafeEqual } from 'node:crypto';
import { fieldId } from '../terms/field-names.ts';
import type { DenialReason } from '../terms/reasons.ts';
import type { Denial } from '../terms/verdict.ts';
import { applyRules, type CheckedCoverage, type ProvenBy, streamingTrailers } from './coverage-rules.ts';
import type { PairKey } from './hmac.ts';
import type { SignableRequest } from './message.ts';
import { findOurMember, type OurMember, rememberCoverage } from './our-member.ts';
import { componentHashes, signatureBase } from './signature-base.ts';
import { SignatureError } from './signature-error.ts';
import { show } from './signature-params.ts';
import { headTag, trailerTag, windowSeconds } from './tags.ts';
import { isMac, UsualMembers } from './usual-member.ts';
import type { VerifierKeys } from './verifier-keys.ts';

/** What proves the body of a request: chosen where its head is judged. */
export type BodyProof =
  /** It has none. */
  | { readonly by: 'none' }
  /** Content-Digest as received, which the signature covers. */
  | { readonly by: 'digest'; readonly digest: string }
  /** A digest in the trailer section, still to come. */
  | { readonly by: 'trailer' }
  /** TLS, record by record. */
  | { readonly by: 'tls' };

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
      readonly body: BodyProof;
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

/** One form for each caller's key and kind of call. */
const usualMembers = new UsualMembers(64);

const serviceName = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

const ofStreamingForm = new Set<string>(streamingTrailers);

const macLength = 44;
const expectedMac = Buffer.alloc(macLength);
const receivedMac = Buffer.alloc(macLength);

/** Compares in constant time two MACs in base64; ours has the canonical form, so that one in another is not equal. */
function sameMac(expected: string, received: string): boolean {
  if (received.length !== macLength) return false;
  expectedMac.latin1Write(expected, 0, macLength);
  receivedMac.latin1Write(received, 0, macLength);
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
  const identity = head.known(fieldId['x-service-id']);
  return {
    proven: false,
    denial: { reason, detail, ...fields },
    ...(identity !== undefined && serviceName.test(identity) ? { claimed: identity } : undefined),
    ...(member === undefined ? undefined : { kid: member.keyid, created: member.created }),
  };
}

/**
 * Checks the signature of a request: all that can be said without a memory of earlier calls, in the order in
 * which reasons are reported.
 *
 * @param audience authorities, in lower case, that mean this service on this host
 * @param nowMs milliseconds since the epoch
 * @param peer the caller that the connection has proven; without it the connection is plain
 * @param coveredFields fields that a signature on a plain connection covers when they are present, beside the usual ones
 * @see RFC 9421 §3.2
 */
export function verifyRequest(
  head: SignableRequest,
  keyring: VerifierKeys,
  audience: ReadonlySet<string>,
  nowMs: number,
  peer?: string,
  coveredFields?: readonly string[],
): Proof {
  const signatureInput = head.known(fieldId['signature-input']);
  const signature = head.known(fieldId.signature);
  const usual = usualMembers.read(signatureInput, signature);
  if (usual !== undefined) {
    const proof = verifyMember(usual, head, keyring, audience, nowMs, peer, coveredFields);
    // What is no MAC at all is told before anything else.
    if (proof.proven || isMac(usual.mac)) return proof;
  }
  let member: OurMember | undefined;
  try {
    member = findOurMember(signatureInput, signature, headTag);
  } catch (error) {
    if (!(error instanceof SignatureError)) throw error;
    return deny(head, undefined, 'malformed-signature', `${error.message}.`);
  }
  if (signatureInput === undefined || signature === undefined || member === undefined) return missing(head);
  const proof = verifyMember(member, head, keyring, audience, nowMs, peer, coveredFields);
  if (proof.proven) {
    rememberCoverage(member.coverage);
    usualMembers.remember(member, signatureInput, signature);
  }
  return proof;
}

/** As `verifyRequest`, once our member is found. */
function verifyMember(
  member: OurMember,
  head: SignableRequest,
  keyring: VerifierKeys,
  audience: ReadonlySet<string>,
  nowMs: number,
  peer: string | undefined,
  coveredFields: readonly string[] | undefined,
): Proof {
  const { coverage, keyid } = member;
  const by = applyRules(coverage, head, peer !== undefined, coveredFields);
  if (typeof by !== 'string') {
    const names = by.missing.map((name) => `"${name}"`).join(' ');
    const hint = by.hint === undefined ? '' : ` (${by.hint})`;
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

  const inbound = keyring.inbound.get(keyid);
  const named = inbound?.caller ?? keyid.slice(0, Math.max(0, keyid.lastIndexOf('/')));
  const identity = head.known(fieldId['x-service-id']);
  if (identity !== named)
    return deny(
      head,
      member,
      'caller-mismatch',
      `X-Service-ID is ${identity === undefined ? 'missing' : show(identity)}, the key id is ${show(keyid)}; expected the caller that the key id names.`,
      { expected: named, received: identity ?? '' },
    );
  if (peer !== undefined && peer !== named)
    return deny(
      head,
      member,
      'caller-mismatch',
      `The connection was proven by ${peer}, the call is signed by ${show(named)}; expected one caller.`,
      { expected: peer, received: named },
    );
  if (inbound === undefined)
    return deny(head, member, 'unknown-key', unknownKey(keyid, named, keyring), { received: keyid });
  if (nowMs >= inbound.notAfterMs)
    return deny(
      head,
      member,
      'expired-key',
      `The key ${keyid} was retired at ${new Date(inbound.notAfterMs).toISOString()}; the caller should sign with its newest key.`,
      { received: keyid },
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

  const skewSeconds = Math.floor(nowMs / 1000) - member.created;
  if (
    Math.abs(skewSeconds) > windowSeconds ||
    (member.expires !== undefined && nowMs > member.expires * 1000)
  )
    return deny(head, member, 'outside-window', outsideWindow(skewSeconds, member.expires), {
      expected: `created within ${windowSeconds} s of ${Math.floor(nowMs / 1000)}`,
      received: `created=${member.created}${member.expires === undefined ? '' : `;expires=${member.expires}`}`,
    });

  const mismatch = checkMac(member, inbound.key, head);
  if (mismatch !== undefined) return deny(head, member, mismatch.reason, mismatch.detail, mismatch);

  return {
    proven: true,
    caller: inbound.caller,
    kid: inbound.kid,
    nonce: member.nonce as string,
    created: member.created,
    label: member.label,
    expires: member.expires,
    body: bodyProof(by, head),
    skewSeconds,
    alone: member.alone,
    key: inbound.key,
    coverage,
  };
}

function bodyProof(by: ProvenBy, head: SignableRequest): BodyProof {
  return by === 'digest' ? { by, digest: head.known(fieldId['content-digest']) as string } : { by };
}

function missing(head: SignableRequest): Unproven {
  const found =
    head.known(fieldId['signature-input']) === undefined
      ? 'there is no Signature-Input field'
      : `no member of Signature-Input has tag="${headTag}"`;
  return deny(
    head,
    undefined,
    'missing-signature',
    `The call is not signed: ${found}. Send it through the caller's sidecar, or sign it with countersign sign.`,
  );
}

function unknownKey(kid: string, caller: string, keyring: VerifierKeys): string {
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
    base = signatureBase(member.coverage, member.signed, head);
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

const hashes = ({ coverage, nonce }: OurMember, head: SignableRequest) =>
  componentHashes(head, coverage, nonce)
    .map(({ component, hash }) => `${component}=${hash}`)
    .join(' ');

/**
 * Checks the trailer signature of the streaming form, once the trailer section has arrived; undefined when it
 * holds. It binds the digest and the app's own trailers to the head's signature, so it needs no nonce and no window of its own.
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
  const own = head.trailerNames().filter((name) => !ofStreamingForm.has(name));
  const expected = [
    `"content-digest";tr`,
    ...own.map((name) => `"${name}";tr`),
    `"signature";key="${proof.label}"`,
  ];
  const received = member.coverage.components.map(({ identifier }) => identifier);
  if ([...received].sort().join() !== [...expected].sort().join())
    return {
      reason: 'insufficient-coverage',
      detail: `The trailer signature covers ${member.coverage.text}; expected (${expected.join(' ')}).`,
      expected: `(${expected.join(' ')})`,
      received: member.coverage.text,
    };
  if (member.keyid !== proof.kid)
    return {
      reason: 'unknown-key',
      detail: `The trailer is signed with ${show(member.keyid)}, the head with ${proof.kid}; expected one key.`,
      expected: proof.kid,
      received: member.keyid,
    };
  const mismatch = checkMac(member, proof.key, head);
  if (mismatch === undefined) rememberCoverage(member.coverage);
  return mismatch;
}
