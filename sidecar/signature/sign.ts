import { type Coverage, coverageOf } from './components.ts';
import type { PairKey } from './hmac.ts';
import type { SignableRequest } from './message.ts';
import { serializeString } from './serialize.ts';
import { signatureBase } from './signature-base.ts';
import { parseItem } from './structured-fields.ts';
import { headLabel, headTag, trailerTag } from './tags.ts';

export interface SigningParams {
  readonly kid: string;
  /** Seconds since the epoch. */
  readonly created: number;
  /** 16 to 128 characters of printable ASCII, never used before under this key. */
  readonly nonce: string;
}

/** The values of one member of Signature-Input and Signature, without its label. */
export interface SignatureMember {
  readonly signatureInput: string;
  /** A byte sequence, its colons included. */
  readonly signature: string;
}

const prepared = new WeakMap<readonly string[], Coverage>();

/**
 * The coverage that a list of names stands for: `@method`, `content-type`, or, where parameters are needed, the
 * whole identifier as in `"cache-control";key="max-age"`.
 *
 * @throws {import('./structured-fields.ts').StructuredFieldError}
 * @throws {import('./signature-error.ts').SignatureError} malformed-signature
 */
export function coverageOfNames(covered: readonly string[]): Coverage {
  let coverage = prepared.get(covered);
  if (coverage === undefined) {
    coverage = coverageOf(
      covered.map((name) => parseItem(name.startsWith('"') ? name : serializeString(name))),
    );
    prepared.set(covered, coverage);
  }
  return coverage;
}

const isPlain = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;
const quote = (value: string) => (isPlain.test(value) ? `"${value}"` : serializeString(value));

/**
 * Signs a request with hmac-sha256 (RFC 9421 §3.1, §3.3.3).
 *
 * @param covered the names of the covered components, in order; preparing them is remembered by the array itself,
 *   so pass the same one (see `requiredComponents`), and never change it
 * @throws {import('./signature-error.ts').SignatureError} when the message lacks a covered component
 */
export function signRequest(
  message: SignableRequest,
  covered: readonly string[],
  key: PairKey,
  params: SigningParams,
): SignatureMember {
  const coverage = coverageOfNames(covered);
  const text = `${coverage.text};created=${params.created};keyid=${quote(params.kid)};nonce=${quote(params.nonce)};tag="${headTag}"`;
  const mac = key.macBase64(signatureBase(coverage, text, message));
  return { signatureInput: text, signature: `:${mac}:` };
}

/**
 * Signs the trailer of the streaming form: the digest of the body that was sent and the app's own trailers, bound to the
 * signature of the head.
 *
 * @param contentDigest the Content-Digest field of the trailer section
 * @param headSignature the MAC of the head in base64, without colons
 * @param own further fields of the trailer section: lower-case names with their combined values
 */
export function signTrailer(
  contentDigest: string,
  headSignature: string,
  key: PairKey,
  params: { readonly kid: string; readonly created: number; readonly label?: string },
  own: readonly (readonly [string, string])[] = [],
): SignatureMember {
  const lines = [
    ['"content-digest";tr', contentDigest],
    ...own.map(([name, value]) => [`"${name}";tr`, value]),
    [`"signature";key="${params.label ?? headLabel}"`, `:${headSignature}:`],
  ];
  const covered = lines.map(([identifier]) => identifier).join(' ');
  const text = `(${covered});created=${params.created};keyid=${quote(params.kid)};tag="${trailerTag}"`;
  const base = `${lines.map(([identifier, value]) => `${identifier}: ${value}\n`).join('')}"@signature-params": ${text}`;
  return { signatureInput: text, signature: `:${key.macBase64(base)}:` };
}
