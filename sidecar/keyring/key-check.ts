import type { PairKey } from '../signature/hmac.ts';

/** No signature base begins like this (RFC 9421 §2.5: each begins with a quoted component). */
const checkedText = 'countersign/1\nkey check';
const checkLength = 16;
const checks = new WeakMap<PairKey, string>();

/**
 * A short text that two ends can compare to see whether they hold the same key, and from which nobody learns the key:
 * the first 16 base64 characters (96 bits) of an HMAC that is used for nothing else.
 */
export function keyCheck(key: PairKey): string {
  return key.macBase64(checkedText).slice(0, checkLength);
}

/** The check of a key that stays loaded, worked out once: `/status` tells it at every question. */
export function loadedKeyCheck(key: PairKey): string {
  let check = checks.get(key);
  if (check === undefined) {
    check = keyCheck(key);
    checks.set(key, check);
  }
  return check;
}
