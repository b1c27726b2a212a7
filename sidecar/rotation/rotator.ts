import type { Fleet } from '../config/fleet.ts';
import { DeliveryError } from '../keyring/errors.ts';
import type { KeyringFile } from '../keyring/keyring-file.ts';
import { bringKeyrings, type Laggard, type SidecarAccess } from './bring-keyrings.ts';
import type { OutFolder } from './out-folder.ts';
import type { KeyRegistry } from './registry.ts';
import { renderKeyrings } from './render.ts';
import { type Registry, type RotationPhase, rootsInForce } from './roots.ts';
import { nextAction } from './rotation.ts';

/** What every deed of a rotator works with. */
export interface Rotator {
  readonly fleet: Fleet;
  readonly registry: KeyRegistry;
  readonly out: OutFolder;
  readonly now: () => number;
  /** Tells the operator of one step. */
  readonly say: (line: string) => void;
}

/**
 * Gives every service of the fleet that has none a root, and writes everybody's keyring. Roots that are there stay;
 * a revoked service gets none unless it is named.
 *
 * @returns the names of the services that got a root
 */
export async function initKeys(rotator: Rotator, reinstate: ReadonlySet<string>): Promise<string[]> {
  const { fleet, registry, out, now, say } = rotator;
  const used = await out.highestGenerations();
  const { services } = await registry.read(fleet.services.keys());
  const made: string[] = [];
  for (const [service, roots] of services) {
    if (rootsInForce(roots).current !== undefined) continue;
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

/**
 * Begins a rotation, or goes on with the one that has begun, and sees it through.
 *
 * @param services those to rotate when none is under way
 * @throws {DeliveryError} when a sidecar cannot be reached or does not load its keyring: the rotation stays where
 *   it is, every key that was in use still works, and running it again goes on
 */
export async function rotateKeys(
  rotator: Rotator,
  access: SidecarAccess,
  services: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const { registry, fleet, now, say } = rotator;
  const { rotation } = await registry.read(fleet.services.keys());
  if (rotation === undefined) await registry.beginRotation(services, now());
  else
    say(
      `going on with the rotation of ${rotation.services.join(', ')} begun ${rotation.startedAt} (${rotation.phase})`,
    );
  const used = await rotator.out.highestGenerations();
  let loaded: ReadonlyMap<string, string | undefined> = new Map();
  for (;;) {
    signal.throwIfAborted();
    const { state, wanted } = await writeKeyrings(rotator);
    const action = nextAction(state, wanted, loaded);
    switch (action.kind) {
      case 'stage':
        await registry.stage(action.service, used.get(action.service) ?? 0, now());
        say(`staged the next key of ${action.service}`);
        break;
      case 'deliver': {
        const laggards = await bringKeyrings(access, rotator.out, wanted, signal);
        if (laggards.length > 0) throw stopped(state.rotation?.phase ?? 'staging', laggards);
        loaded = new Map([...wanted].map(([place, { issue }]) => [place, issue]));
        say(`all ${wanted.size} sidecars ${loadedWhat[state.rotation?.phase ?? 'staging']}`);
        break;
      }
      case 'advance':
        await registry.advanceRotation(action.to);
        break;
      case 'promote':
        await registry.promote(action.service, now());
        say(
          `promoted ${rootsInForce(state.services.get(action.service) ?? {}).pending?.kid ?? action.service}`,
        );
        break;
      case 'finish':
        await registry.endRotation();
        return;
    }
  }
}

/**
 * Ends the keys of services for good, now: in the registry first, then at every sidecar that can be reached.
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
  const laggards = await bringKeyrings(access, out, wanted, signal);
  if (laggards.length > 0)
    throw new DeliveryError(
      `${services.join(', ')}: revoked in the registry, but these sidecars may still hold the keys:\n${list(laggards)}\nRun the same command again as soon as they can be reached, or stop them.`,
      laggards.map(({ place }) => place),
    );
  say(`all ${wanted.size} sidecars have dropped them`);
}

/** Writes the keyring of every sidecar as the registry stands. */
export async function writeKeyrings(
  rotator: Rotator,
): Promise<{ state: Registry; wanted: Map<string, KeyringFile> }> {
  const { fleet, registry, out, now } = rotator;
  const state = await registry.read(fleet.services.keys());
  return { state, wanted: await out.write(renderKeyrings(fleet, state, now())) };
}

const loadedWhat: Record<RotationPhase, string> = {
  staging: 'accept both generations',
  switching: 'sign with the new generation',
  promoting: 'have their keyrings',
  retiring: 'know when the old generation ends',
};

const whatHolds: Record<RotationPhase, string> = {
  staging: 'No signer has switched: every call is signed and accepted as before.',
  switching: 'Every sidecar accepts both generations, so no call is refused.',
  promoting: 'Every sidecar signs with the new generation.',
  retiring: 'Every sidecar signs with the new generation; these still accept the old one.',
};

function stopped(phase: RotationPhase, laggards: readonly Laggard[]): DeliveryError {
  return new DeliveryError(
    `the rotation has stopped (${phase}): these sidecars do not have their keys:\n${list(laggards)}\n${whatHolds[phase]} Run the same command again when they can be reached; it goes on from here.`,
    laggards.map(({ place }) => place),
  );
}

function list(laggards: readonly Laggard[]): string {
  return laggards.map(({ place, why }) => `  ${place}: ${why}`).join('\n');
}
