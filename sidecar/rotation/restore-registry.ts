import { AnsweredNo } from '../terms/exit-codes.ts';
import { type Backup, rootsIn } from './backup.ts';
import { CarriedKeys } from './carried-keys.ts';
import { KeysInUse } from './keys-in-use.ts';
import { reconcile } from './reconcile.ts';
import { placesOf, rootsInForce } from './roots.ts';
import type { Rotator } from './rotator.ts';

/** What a restored registry has. */
export interface Restored {
  /** Services whose root is there. */
  readonly known: readonly string[];
  /** Services whose root nobody has any more: a rotation replaces it, and costs no call. */
  readonly lost: readonly string[];
}

/**
 * Restores a registry from a backup, from the keyrings that are in use, or both. Safe to repeat, and no generation is
 * made twice: the counters begin past everything that the backup, the keyrings or a sidecar names.
 *
 * @param used the highest generation of each service that is known to have been used
 * @throws {AnsweredNo} when the keys of a lost root are in no keyring: to go on would cost calls
 */
export async function restoreRegistry(
  rotator: Rotator,
  backup: Backup | undefined,
  used: ReadonlyMap<string, number>,
): Promise<Restored> {
  const { fleet, registry, out, now, say } = rotator;
  const inUse = new KeysInUse();
  for await (const keyring of out.keyrings()) inUse.add(keyring);
  const state = await registry.read(fleet.services.keys());
  const wanted = [...state.services].map(([service, held]) => {
    const saved = backup?.services[service];
    const known = saved === undefined ? [held] : [held, rootsIn(saved)];
    const generation = Math.max(used.get(service) ?? 0, saved?.generation ?? 0);
    return { service, generation, roots: reconcile(service, known, inUse.of(service), now()) };
  });
  await demandCarriedKeys(
    rotator,
    wanted.flatMap(({ roots }) => (roots.current?.key === undefined ? [roots.current?.kid ?? ''] : [])),
  );
  for (const { service, generation, roots } of wanted)
    await registry.restore(service, roots, generation, now());
  for (const [host, at] of Object.entries(backup?.revoked_hosts ?? {}))
    await registry.revokeHost(host, Date.parse(at));
  const restored = [...(await registry.read(fleet.services.keys())).services].flatMap(([service, roots]) => {
    const { current } = rootsInForce(roots);
    return current === undefined ? [] : [{ service, current }];
  });
  for (const { current } of restored)
    say(
      `${current.kid}: ${current.key === undefined ? 'its root is lost, its pair keys are in the keyrings' : 'its root is there'}`,
    );
  return {
    known: restored.flatMap(({ service, current }) => (current.key === undefined ? [] : [service])),
    lost: restored.flatMap(({ service, current }) => (current.key === undefined ? [service] : [])),
  };
}

async function demandCarriedKeys({ fleet, out }: Rotator, kids: readonly string[]): Promise<void> {
  const lost = kids.filter((kid) => kid !== '');
  if (lost.length === 0) return;
  const carried = new CarriedKeys(new Set(lost));
  for await (const keyring of out.keyrings()) carried.add(keyring);
  for (const kid of lost)
    for (const { service, host } of placesOf(fleet))
      if (carried.get(kid, service, host) === undefined)
        throw new AnsweredNo(
          `the root of ${kid} is lost, and no keyring in ${out.path} has its key for ${service} on ${host}: collect the keyrings of the hosts with --collect`,
        );
}
