import { keyCheck } from '../keyring/key-check.ts';
import type { KeyringFile } from '../keyring/keyring-file.ts';
import type { LoadedKeys } from '../keyring/loaded-keys.ts';
import { PairKey } from '../signature/hmac.ts';
import { type Place, placeName } from './roots.ts';

/** A pair of sidecars of which one end does not hold the key that the registry gave to both. */
export interface Misfit {
  readonly caller: string;
  readonly callee: string;
  readonly why: string;
}

/** What a running sidecar says that it has loaded. */
export interface LoadedAt extends Place {
  readonly keys: LoadedKeys;
}

/**
 * Compares one end of every pair that a sidecar is part of: the keys that its process has in memory, by their checks, and
 * those that the registry gives it. When every sidecar has what the registry says, both ends of every pair fit.
 *
 * @param given the sidecar's keyring as the registry stands
 */
export function misfits(loaded: LoadedAt, given: KeyringFile): Misfit[] {
  const here = placeName(loaded);
  const found: Misfit[] = [];
  for (const [callee, { kid, keys }] of Object.entries(given.outbound)) {
    const signing = loaded.keys.outbound[callee];
    for (const [host, key] of Object.entries(keys)) {
      const why = faultOf(kid, key, signing?.kid, signing?.checks, signing?.checks?.[host]);
      if (why !== undefined) found.push({ caller: here, callee: `${callee}@${host}`, why });
    }
  }
  for (const [caller, keys] of Object.entries(given.inbound))
    for (const { kid, key } of keys) {
      const accepted = loaded.keys.inbound[caller]?.find((each) => each.kid === kid);
      const why = faultOf(kid, key, accepted?.kid, accepted?.check, accepted?.check);
      if (why !== undefined) found.push({ caller, callee: here, why });
    }
  return found;
}

/** @param told undefined from a sidecar of 0.1, which tells no checks */
function faultOf(
  kid: string,
  key: string,
  loadedKid: string | undefined,
  told: unknown,
  check: string | undefined,
): string | undefined {
  if (loadedKid !== kid) return `found ${loadedKid ?? 'no key'}, expected ${kid}`;
  if (told === undefined || check === keyCheck(new PairKey(Buffer.from(key, 'base64')))) return undefined;
  return check === undefined ? `found no key under ${kid}` : `found another key under ${kid}`;
}
