import type { Fleet } from '../config/fleet.ts';
import { CarriedKeys } from './carried-keys.ts';
import type { Issued, OutFolder } from './out-folder.ts';
import type { KeyRegistry } from './registry.ts';
import { KeyringRenderer } from './render.ts';
import { type Registry, rootsInForce } from './roots.ts';

/** What every deed of a rotator works with. */
export interface Rotator {
  readonly fleet: Fleet;
  readonly registry: KeyRegistry;
  readonly out: OutFolder;
  readonly now: () => number;
  /** Tells the operator of one step. */
  readonly say: (line: string) => void;
}

/** The registry and every sidecar's keyring as it now is. */
export interface Written {
  readonly state: Registry;
  readonly wanted: ReadonlyMap<string, Issued>;
  readonly renderer: KeyringRenderer;
}

/**
 * Writes the keyring of every sidecar as the registry stands.
 *
 * @param options `change`: what is to hold beside the registry; `again`: places that get a new issue whatever they have
 */
export async function writeKeyrings(
  rotator: Rotator,
  {
    change = (state) => state,
    again,
  }: { change?: (state: Registry) => Registry; again?: ReadonlySet<string> } = {},
): Promise<Written> {
  const { fleet, registry, out, now } = rotator;
  const state = change(await registry.read(fleet.services.keys()));
  for (const [host] of state.revokedHosts ?? [])
    for (const { name, hosts } of fleet.services.values())
      if (hosts.includes(host)) await out.forget(`${name}@${host}`);
  const renderer = new KeyringRenderer(fleet, state, now(), await carriedKeys(out, state));
  return { state, wanted: await out.write(renderer, again), renderer };
}

/** The pair keys of the roots that the registry has lost, from the keyrings that still hold them. */
async function carriedKeys(out: OutFolder, { services }: Registry): Promise<CarriedKeys | undefined> {
  const lost = [...services.values()].flatMap((roots) =>
    Object.values(rootsInForce(roots)).flatMap(({ kid, key }) => (key === undefined ? [kid] : [])),
  );
  if (lost.length === 0) return undefined;
  const carried = new CarriedKeys(new Set(lost));
  for await (const keyring of out.keyrings()) carried.add(keyring);
  return carried;
}
