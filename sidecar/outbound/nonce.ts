import { randomFillSync } from 'node:crypto';

const nonceBytes = 16;
const pool = Buffer.alloc(256 * nonceBytes);
let at = pool.length;

/** A nonce of 128 random bits, 22 characters of base64url. Randomness is drawn for 256 at a time. */
export function newNonce(): string {
  if (at === pool.length) {
    randomFillSync(pool);
    at = 0;
  }
  at += nonceBytes;
  return pool.toString('base64url', at - nonceBytes, at);
}
