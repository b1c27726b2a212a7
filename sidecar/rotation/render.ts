import type { Fleet } from '../config/fleet.ts';
import { derivePairKey } from '../keyring/derive.ts';
import type { KeyringFile } from '../keyring/keyring-file.ts';
import {
  generationOf,
  type Place,
  type PreviousRoot,
  placeName,
  placesOf,
  type Registry,
  type Root,
  type RotationPhase,
  rootsInForce,
} from './roots.ts';

/** The root that a service signs with, and all that are accepted of it. */
interface CallerRoots {
  readonly signing: Root;
  readonly accepted: readonly (Root | PreviousRoot)[];
}

const signersHaveSwitched: Record<RotationPhase, boolean> = {
  staging: false,
  switching: true,
  promoting: true,
  retiring: true,
};

/**
 * The keyring of every sidecar of the fleet, as the registry stands: pure, so the same registry gives the same
 * keyrings. A service without a root, or a revoked one, neither calls nor is called.
 *
 * @returns by `placeName`, without an `issue`
 */
export function renderKeyrings(fleet: Fleet, registry: Registry, nowMs: number): Map<string, KeyringFile> {
  const callers = new Map<string, CallerRoots>();
  for (const name of fleet.services.keys()) {
    const roots = callerRoots(name, registry, nowMs);
    if (roots !== undefined) callers.set(name, roots);
  }
  return new Map(
    placesOf(fleet).map((place) => [placeName(place), renderKeyring(place, fleet, callers)] as const),
  );
}

function callerRoots(name: string, registry: Registry, nowMs: number): CallerRoots | undefined {
  const { current, pending, previous } = rootsInForce(registry.services.get(name) ?? {});
  if (current === undefined) return undefined;
  const rotation = registry.rotation?.services.includes(name) ? registry.rotation : undefined;
  const next = rotation === undefined ? undefined : pending;
  const old = previous !== undefined && Date.parse(previous.notAfter) > nowMs ? previous : undefined;
  return {
    signing: next !== undefined && rotation && signersHaveSwitched[rotation.phase] ? next : current,
    accepted: [next, current, old].filter((root) => root !== undefined),
  };
}

function renderKeyring(place: Place, fleet: Fleet, callers: ReadonlyMap<string, CallerRoots>): KeyringFile {
  const { service, host } = place;
  const own = callers.get(service);
  const outbound: KeyringFile['outbound'] = {};
  const inbound: KeyringFile['inbound'] = {};
  if (own === undefined) return { service, host, outbound, inbound };
  for (const callee of callers.keys()) {
    const hosts = fleet.services.get(callee)?.hosts ?? [];
    const keys = hosts.map((at) => [at, pairKey(own.signing, service, callee, at)] as const);
    outbound[callee] = { kid: own.signing.kid, keys: Object.fromEntries(keys) };
  }
  for (const [caller, { accepted }] of callers)
    inbound[caller] = accepted.map((root) => ({
      kid: root.kid,
      key: pairKey(root, caller, service, host),
      ...('notAfter' in root && { not_after: root.notAfter }),
    }));
  return { service, host, outbound, inbound };
}

function pairKey(root: Root, caller: string, callee: string, host: string): string {
  return derivePairKey(root.key, { caller, callee, host, generation: generationOf(root) }).toString('base64');
}
