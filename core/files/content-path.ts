import { join } from 'node:path';

const sha256Hex = /^[0-9a-f]{64}$/;

/** Folder of the store in which uploads are written until they are complete. */
export const incomingFolder = 'incoming';

/** Folder of the store that holds contents by their hash. */
export const contentFolder = 'sha256';

/**
 * Where a content lies, relative to the store: made of its SHA-256 alone, so nothing that a user names is ever part
 * of a path. Undefined for what is no SHA-256 in lower-case hex.
 */
export function contentPath(hash: string): string | undefined {
  return sha256Hex.test(hash) ? join(contentFolder, hash.slice(0, 2), hash) : undefined;
}
