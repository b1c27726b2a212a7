import * as z from 'zod';
import type { Keyring } from './keyring.ts';

const time = z.iso.datetime({ offset: true, error: 'a time such as 2026-11-23T12:00:00Z (RFC 3339)' });

/** `keys` in `/status`: which keys a sidecar has loaded, without the keys. A rotation waits for it. */
export const loadedKeysSchema = z.object({
  /** Which file of the rotator this is; absent when a hand wrote it. */
  issue: z.string().optional(),
  /** By caller: the key ids that this sidecar accepts. */
  inbound: z.record(z.string(), z.array(z.object({ kid: z.string(), not_after: time.optional() }))),
  /** By callee: the key id that this sidecar signs with. */
  outbound: z.record(z.string(), z.object({ kid: z.string() })),
});

export type LoadedKeys = z.output<typeof loadedKeysSchema>;

/** What `/status` says of a keyring; with several workers, of the one that every worker has loaded. */
export function loadedKeys(keyring: Keyring): LoadedKeys {
  const inbound: LoadedKeys['inbound'] = {};
  for (const { caller, kid, notAfterMs } of keyring.inbound.values()) {
    inbound[caller] ??= [];
    inbound[caller].push(
      Number.isFinite(notAfterMs) ? { kid, not_after: new Date(notAfterMs).toISOString() } : { kid },
    );
  }
  return {
    ...(keyring.issue !== undefined && { issue: keyring.issue }),
    inbound,
    outbound: Object.fromEntries([...keyring.outbound].map(([callee, { kid }]) => [callee, { kid }])),
  };
}
