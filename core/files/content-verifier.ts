import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';

const chunkBytes = 256 * 1024;
/** Contents whose check is remembered; the oldest is forgotten first. */
const rememberedLimit = 10_000;

/** What a content has to be. */
export interface ExpectedContent {
  /** SHA-256, lower-case hex. */
  readonly hash: string;
  /** Bytes. */
  readonly size: number;
}

/**
 * Tells whether a file holds the content that its row describes. A file is hashed when it is first opened and whenever
 * its inode, size or change time is not what it was: a download never carries the ETag of other bytes.
 */
export class ContentVerifier {
  /** Hash → the identity of the file that was found to have it. */
  readonly #verified = new Map<string, string>();

  async matches(handle: FileHandle, { hash, size }: ExpectedContent): Promise<boolean> {
    const stat = await handle.stat({ bigint: true });
    if (!stat.isFile() || stat.size !== BigInt(size)) return false;
    const identity = [stat.dev, stat.ino, stat.size, stat.mtimeNs, stat.ctimeNs].join(':');
    if (this.#verified.get(hash) === identity) return true;
    if ((await hashOf(handle, size)) !== hash) return false;
    this.#verified.delete(hash);
    this.#verified.set(hash, identity);
    if (this.#verified.size > rememberedLimit) this.#verified.delete(this.#verified.keys().next().value!);
    return true;
  }
}

/** Reads by position, so that the handle can be read from its start afterwards. */
async function hashOf(handle: FileHandle, size: number): Promise<string> {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(Math.min(chunkBytes, Math.max(size, 1)));
  for (let position = 0; position < size; ) {
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, position);
    if (bytesRead === 0) break;
    hash.update(buffer.subarray(0, bytesRead));
    position += bytesRead;
  }
  return hash.digest('hex');
}
