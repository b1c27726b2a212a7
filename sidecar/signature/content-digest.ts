import { createHash, type Hash, hash } from 'node:crypto';
import type { Denial } from '../terms/verdict.ts';
import { parseDictionary, StructuredFieldError } from './structured-fields.ts';

/** Algorithms of RFC 9530 that are fit for use (RFC 9530 §5). */
const algorithms = { 'sha-256': 'sha256', 'sha-512': 'sha512' } as const;

export type DigestAlgorithm = keyof typeof algorithms;

const digestLengths: Record<DigestAlgorithm, number> = { 'sha-256': 44, 'sha-512': 88 };

/** A Content-Digest field (RFC 9530 §2). @param base64 the digest, padded */
export function formatContentDigest(base64: string, algorithm: DigestAlgorithm = 'sha-256'): string {
  return `${algorithm}=:${base64}:`;
}

/** The Content-Digest field of a body that is at hand as a whole. */
export function contentDigest(body: Uint8Array, algorithm: DigestAlgorithm = 'sha-256'): string {
  return formatContentDigest(hash(algorithms[algorithm], body, 'base64'), algorithm);
}

/** The denial when a body that is at hand as a whole is not the one of its Content-Digest. */
export function checkDigest(field: string, body: Uint8Array): Denial | undefined {
  // Nearly all fields are written like ours.
  if (field === contentDigest(body)) return undefined;
  const check = new DigestCheck(field);
  check.update(body);
  return check.verdict();
}

/**
 * The digests in a Content-Digest field that we can check, in base64; those of other algorithms are ignored.
 *
 * @throws {StructuredFieldError} when it is no dictionary of byte sequences, or holds no sha-256 and no sha-512
 */
export function parseContentDigest(field: string): ReadonlyMap<DigestAlgorithm, string> {
  const digests = new Map<DigestAlgorithm, string>();
  const members = parseDictionary(field);
  for (const [name, member] of members) {
    if (member.items !== undefined || member.type !== 'bytes')
      throw new StructuredFieldError(`${name} is no byte sequence; expected ${name}=:<base64>:`);
    if (!Object.hasOwn(algorithms, name)) continue;
    const algorithm = name as DigestAlgorithm;
    const digest = member.text.slice(1, -1);
    if (digest.length !== digestLengths[algorithm])
      throw new StructuredFieldError(
        `${name} has ${digest.length} characters of base64; expected ${digestLengths[algorithm]}`,
      );
    digests.set(algorithm, digest);
  }
  if (digests.size === 0)
    throw new StructuredFieldError(
      `it lists ${[...members.keys()].join(', ') || 'nothing'}; expected sha-256 or sha-512`,
    );
  return digests;
}

/** Hashes a body as it passes, for the Content-Digest of its trailer section. */
export class DigestHasher {
  readonly #hash = createHash('sha256');

  update(chunk: Uint8Array): void {
    this.#hash.update(chunk);
  }

  /** The Content-Digest field; call it once, at the end. */
  contentDigest(): string {
    return formatContentDigest(this.#hash.digest('base64'));
  }
}

/**
 * Compares a body, as it passes, with its Content-Digest. Every digest that we know must match.
 *
 * In the streaming form the field comes after the body, and its digest is SHA-256: to be ready for others would
 * cost every such body a second hash.
 */
export class DigestCheck {
  readonly #expected: Digests | undefined;
  readonly #hashes = new Map<DigestAlgorithm, Hash>();

  /** @param field the Content-Digest field; undefined when it is still to come, in the trailer section */
  constructor(field: string | undefined) {
    this.#expected = field === undefined ? undefined : readDigests(field);
    const names =
      this.#expected === undefined ? ['sha-256' as const] : (this.#expected.digests?.keys() ?? []);
    for (const name of names) this.#hashes.set(name, createHash(algorithms[name]));
  }

  update(chunk: Uint8Array): void {
    for (const hash of this.#hashes.values()) hash.update(chunk);
  }

  /**
   * The denial when the body is not the one that was signed; call it once, at the end.
   *
   * @param trailer the Content-Digest field of the trailer section, in the streaming form
   */
  verdict(trailer?: string): Denial | undefined {
    const { digests, denial } = this.#expected ?? readDigests(trailer ?? '');
    if (digests === undefined) return denial;
    let compared = 0;
    for (const [name, hash] of this.#hashes) {
      const digest = digests.get(name);
      if (digest === undefined) continue;
      compared++;
      const received = hash.digest('base64');
      if (received !== digest)
        return {
          reason: 'digest-mismatch',
          detail: `The ${name} of the body is not the one in Content-Digest: the body was changed, cut or extended on the way.`,
          expected: `${name}=:${digest}:`,
          received: `${name}=:${received}:`,
        };
    }
    if (compared > 0) return undefined;
    return {
      reason: 'digest-mismatch',
      detail: 'The Content-Digest of the trailer has no sha-256; the streaming form needs it.',
      expected: 'sha-256',
      received: [...digests.keys()].join(', '),
    };
  }
}

type Digests =
  | { readonly digests: ReadonlyMap<DigestAlgorithm, string>; readonly denial?: undefined }
  | { readonly digests?: undefined; readonly denial: Denial };

function readDigests(field: string): Digests {
  try {
    return { digests: parseContentDigest(field) };
  } catch (error) {
    if (!(error instanceof StructuredFieldError)) throw error;
    return {
      denial: {
        reason: 'digest-mismatch',
        detail: `Content-Digest: ${error.message}.`,
        received: field.slice(0, 200),
      },
    };
  }
}
