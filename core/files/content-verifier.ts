import { createHash } from 'node:crypto';
import type { OpenContent } from './content-store.ts';

/** Contents whose check is remembered; the oldest is forgotten first. */
const rememberedLimit = 10_000;

/** What a content has to be. */
export interface ExpectedContent {
  /** Lower-case hex. */
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
}

/**
 * Tells whether a stored content is what its row describes. It is hashed when it is first opened and whenever its identity is
 * not what it was: a download never carries the ETag of other bytes.
 */
export class ContentVerifier {
  /** Hash → the identity of the content that was found to have it. */
  readonly #verified = new Map<string, string>();

  async matches(content: OpenContent, { sha256, size }: ExpectedContent): Promise<boolean> {
    if (content.size !== size) return false;
    if (this.#verified.get(sha256) === content.identity) return true;
    const hash = createHash('sha256');
    if (size > 0) for await (const chunk of content.read({ start: 0, end: size - 1 })) hash.update(chunk);
    if (hash.digest('hex') !== sha256) return false;
    this.#verified.delete(sha256);
    this.#verified.set(sha256, content.identity);
    if (this.#verified.size > rememberedLimit) this.#verified.delete(this.#verified.keys().next().value!);
    return true;
  }
}
