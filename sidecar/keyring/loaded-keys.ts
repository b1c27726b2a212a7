import { z } from 'zod';
import type { Keyring } from './keyring.ts';

/** Which keys a sidecar has loaded, without the keys: `keys` in `/status`, the acknowledgement that a rotation waits for. */
export const loadedKeysSchema = z.object({
  service: z.string(),
  host: z.string(),
  /** Which file of the rotator this is; null when a hand wrote it. */
  issue: z.string().nullable(),
  /** Callee to the key id that signs calls to it. */
  outbound: z.record(z.string(), z.string()),
  /** Caller to the key ids that are accepted of it. */
  inbound: z.record(z.string(), z.array(z.object({ kid: z.string(), not_after: z.string().optional() }))),
});

export type LoadedKeys = z.output<typeof loadedKeysSchema>;

/** What `/status` says of a keyring. */
export function loadedKeys(keyring: Keyring): LoadedKeys {
  const inbound: Record<string, { kid: string; not_after?: string }[]> = {};
  for (const { caller, kid, notAfterMs } of keyring.inbound.values()) {
    inbound[caller] ??= [];
    inbound[caller].push(
      Number.isFinite(notAfterMs) ? { kid, not_after: new Date(notAfterMs).toISOString() } : { kid },
    );
  }
  return {
    service: keyring.service,
    host: keyring.host,
    issue: keyring.issue ?? null,
    outbound: Object.fromEntries([...keyring.outbound].map(([callee, { kid }]) => [callee, kid])),
    inbound,
  };
}
