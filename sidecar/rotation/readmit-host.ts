import { DeliveryError } from '../keyring/errors.ts';
import { bringKeyrings, type SidecarAccess } from './bring-keyrings.ts';
import { laggardList } from './laggard-list.ts';
import { type Rotator, writeKeyrings } from './rotator.ts';

/**
 * Brings a host that was down the keys of today, and ends its revocation. Its callers have had keys for it all along.
 *
 * @throws {DeliveryError} when it cannot be reached: it stays revoked
 */
export async function readmitHost(
  rotator: Rotator,
  access: SidecarAccess,
  host: string,
  signal: AbortSignal,
): Promise<void> {
  const { registry, out } = rotator;
  const { wanted } = await writeKeyrings(rotator, {
    change: (state) => ({
      ...state,
      revokedHosts: new Map([...(state.revokedHosts ?? [])].filter(([name]) => name !== host)),
    }),
  });
  const own = new Map([...wanted].filter(([, issued]) => issued.host === host));
  const laggards = await bringKeyrings(access, out, own, signal);
  if (laggards.length > 0)
    throw new DeliveryError(
      `${host} does not have its keys:\n${laggardList(laggards)}\nRun the same command again when it can be reached.`,
      laggards.map(({ place }) => place),
    );
  await registry.readmitHost(host);
}
