import type { LoadedKeys } from '../keyring/loaded-keys.ts';
import { type Place, placeName } from './roots.ts';

/** A pair of sidecars whose calls would be refused. */
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
 * Compares, for every pair, the key that the caller's sidecar signs with and the keys that the callee's accepts, as both
 * processes have them in memory: the same key id, the same key, and not ended.
 */
export function misfits(loaded: readonly LoadedAt[], nowMs: number): Misfit[] {
  const found: Misfit[] = [];
  for (const signer of loaded)
    for (const verifier of loaded) {
      const why = misfit(signer, verifier, nowMs);
      if (why !== undefined) found.push({ caller: placeName(signer), callee: placeName(verifier), why });
    }
  return found;
}

function misfit(signer: LoadedAt, verifier: LoadedAt, nowMs: number): string | undefined {
  const signing = signer.keys.outbound[verifier.service];
  const accepted = verifier.keys.inbound[signer.service];
  // One of the two services has no key: revoked, or new.
  if (signing === undefined && accepted === undefined) return undefined;
  if (signing === undefined) return 'there is no key to sign with';
  const key = accepted?.find(({ kid }) => kid === signing.kid);
  if (key === undefined) return `${signing.kid} is not accepted there`;
  if (key.not_after !== undefined && Date.parse(key.not_after) <= nowMs)
    return `${signing.kid} has ended there`;
  // A sidecar of 0.1 tells no checks.
  if (signing.checks === undefined || key.check === undefined) return undefined;
  const check = signing.checks[verifier.host];
  if (check === undefined) return `there is no key for ${verifier.host} to sign with`;
  return check === key.check ? undefined : `the two hold different keys under ${signing.kid}`;
}
