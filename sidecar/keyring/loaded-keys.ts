import * as z from 'zod';
import { loadedKeyCheck } from './key-check.ts';
import type { Keyring } from './keyring.ts';

const time = z.iso.datetime({ offset: true, error: 'a time such as 2026-11-23T12:00:00Z (RFC 3339)' });

/** `keys` in `/status`: which keys a sidecar has loaded, without the keys. A rotation waits for it. */
export const loadedKeysSchema = z.object({
  /** Which file of the rotator this is; absent when a hand wrote it. */
  issue: z.string().optional(),
  /** By caller: the key ids that this sidecar accepts. `check` is the same at both ends of a pair; 0.1 had none. */
  inbound: z.record(
    z.string(),
    z.array(z.object({ kid: z.string(), not_after: time.optional(), check: z.string().optional() })),
  ),
  /** By callee: the key id that this sidecar signs with, and by host of the callee the key's check. */
  outbound: z.record(
    z.string(),
    z.object({ kid: z.string(), checks: z.record(z.string(), z.string()).optional() }),
  ),
});

export type LoadedKeys = z.output<typeof loadedKeysSchema>;

/** What `/status` says of a keyring; with several workers, of the one that every worker has loaded. */
export function loadedKeys(keyring: Keyring): LoadedKeys {
  const inbound: LoadedKeys['inbound'] = {};
  for (const { caller, kid, key, notAfterMs } of keyring.inbound.values()) {
    inbound[caller] ??= [];
    const check = loadedKeyCheck(key);
    inbound[caller].push(
      Number.isFinite(notAfterMs)
        ? { kid, not_after: new Date(notAfterMs).toISOString(), check }
        : { kid, check },
    );
  }
  const outbound: LoadedKeys['outbound'] = {};
  for (const [callee, { kid, keys }] of keyring.outbound)
    outbound[callee] = {
      kid,
      checks: Object.fromEntries([...keys].map(([host, key]) => [host, loadedKeyCheck(key)])),
    };
  return { ...(keyring.issue !== undefined && { issue: keyring.issue }), inbound, outbound };
}
