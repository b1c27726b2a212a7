import { DeliveryError } from '../keyring/errors.ts';
import { bringKeyrings, type SidecarAccess } from './bring-keyrings.ts';
import { laggardList } from './laggard-list.ts';
import { type Rotator, writeKeyrings } from './rotator.ts';

/**
 * Ends the keys of services for good, now: in the registry first, then at every sidecar that can be reached, all at once.
 *
 * @throws {DeliveryError} naming the sidecars that may still hold them
 */
export async function revokeKeys(
  rotator: Rotator,
  access: SidecarAccess,
  services: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const { registry, out, now, say } = rotator;
  const used = await out.highestGenerations();
  for (const service of services) {
    await registry.revoke(service, used.get(service) ?? 0, now());
    say(`revoked every key of ${service}`);
  }
  const { wanted } = await writeKeyrings(rotator);
  const laggards = await bringKeyrings(access, out, wanted, signal, 'urgent');
  if (laggards.length > 0)
    throw new DeliveryError(
      `${services.join(', ')}: revoked in the registry, but these sidecars may still hold the keys:\n${laggardList(laggards)}\nRun the same command again as soon as they can be reached, or stop them.`,
      laggards.map(({ place }) => place),
    );
  say(`all ${wanted.size} sidecars have dropped them`);
}
