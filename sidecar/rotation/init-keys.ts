import { AnsweredNo } from '../terms/exit-codes.ts';
import { type Registry, rootsInForce } from './roots.ts';
import { type Rotator, writeKeyrings } from './rotator.ts';

/**
 * Gives every service of the fleet that has none a root, and writes everyone's keyring. Roots that are there stay;
 * a revoked service gets none unless it is named.
 *
 * @param used the highest generation of each service that is known to have been used
 * @returns the names of the services that got a root
 * @throws {AnsweredNo} when keys of a service are in use whose root is not in the registry: it was lost
 */
export async function initKeys(
  rotator: Rotator,
  used: ReadonlyMap<string, number>,
  reinstate: ReadonlySet<string>,
): Promise<string[]> {
  const { fleet, registry, now, say } = rotator;
  const { services } = await registry.read(fleet.services.keys());
  const rootless = [...services].filter(([, roots]) => rootsInForce(roots).current === undefined);
  const lost = rootless.filter(([name, roots]) => roots.revoked === undefined && used.has(name));
  if (lost.length > 0)
    throw new AnsweredNo(
      `the registry has no root of ${lost.map(([name]) => name).join(', ')}, but keys of ` +
        `${lost.map(([name]) => `${name}/${used.get(name)}`).join(', ')} are in use: it was lost. Run countersign keys restore with a backup, or countersign keys rebuild without one`,
    );
  const made: string[] = [];
  for (const [service, roots] of rootless) {
    if (roots.revoked !== undefined && !reinstate.has(service)) {
      say(
        `${service} is revoked since ${roots.revoked.at}: it gets no key (--reinstate ${service} gives it one)`,
      );
      continue;
    }
    if (await registry.create(service, used.get(service) ?? 0, now())) made.push(service);
  }
  await writeKeyrings(rotator);
  return made;
}

/**
 * Whoever took a revoked service's keyring can still speak as its callers to it, for those keys come from the
 * callers' roots: it may have a key again only when all of these are newer than the revocation.
 *
 * @returns what is to be done first; undefined when nothing is
 */
export function unfitToReinstate(state: Registry, reinstate: ReadonlySet<string>): string | undefined {
  for (const service of reinstate) {
    const at = state.services.get(service)?.revoked?.at;
    if (at === undefined) continue;
    const older = [...state.services].flatMap(([name, roots]) => {
      const { current } = rootsInForce(roots);
      return name !== service && current && current.createdAt <= at ? [name] : [];
    });
    if (older.length > 0)
      return `${service} was revoked ${at}, and its old keyring still holds keys of ${older.join(', ')}: run countersign keys rotate first, then reinstate it`;
  }
  return undefined;
}
