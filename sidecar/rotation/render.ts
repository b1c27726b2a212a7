import { type Fleet, isKeyringOnly } from '../config/fleet.ts';
import { PairKeys } from '../keyring/derive.ts';
import type { KeyringFile } from '../keyring/keyring-file.ts';
import type { CarriedKeys } from './carried-keys.ts';
import {
  generationOf,
  keyedPlaces,
  type Place,
  placeName,
  type Registry,
  type Root,
  type RotationPhase,
  rootsInForce,
} from './roots.ts';

/** One root of a caller, ready to make pair keys. */
interface CallerRoot {
  readonly kid: string;
  readonly notAfter: string | undefined;
  /** In base64; undefined when the root is lost and no keyring had this pair's key. */
  pairKey(callee: string, host: string): string | undefined;
}

/** The root that a service signs with, and all that are accepted of it. */
interface CallerRoots {
  readonly signing: CallerRoot;
  readonly accepted: readonly CallerRoot[];
}

const signersHaveSwitched: Record<RotationPhase, boolean> = {
  staging: false,
  switching: true,
  promoting: true,
  retiring: true,
};

/**
 * Makes the keyring of every sidecar of a fleet, one at a time, as the registry stands: the same registry gives the same
 * keyrings. A service without a root, or a revoked one, neither calls nor is called; a revoked host gets none.
 */
export class KeyringRenderer {
  /** The sidecars that are to have a keyring. */
  readonly places: readonly Place[];
  readonly #fleet: Fleet;
  readonly #callers = new Map<string, CallerRoots>();

  /** @param carried the pair keys of lost roots */
  constructor(fleet: Fleet, registry: Registry, nowMs: number, carried?: CarriedKeys) {
    this.#fleet = fleet;
    this.places = keyedPlaces(fleet, registry);
    for (const name of fleet.services.keys()) {
      const roots = callerRoots(name, registry, nowMs, carried);
      if (roots !== undefined) this.#callers.set(name, roots);
    }
  }

  /** Whether a sidecar reads the keyring of a place: operators that only call have none. */
  hasSidecar({ service }: Place): boolean {
    return !isKeyringOnly(this.#fleet, service);
  }

  /** The keyring of one sidecar, without an `issue`. */
  keyringOf({ service, host }: Place): KeyringFile {
    const outbound: KeyringFile['outbound'] = {};
    const inbound: KeyringFile['inbound'] = {};
    const own = this.#callers.get(service);
    if (own === undefined) return { service, host, outbound, inbound };
    for (const callee of this.#callers.keys()) {
      const hosts = this.#fleet.services.get(callee)?.hosts ?? [];
      const keys = hosts.flatMap((at) => {
        const key = own.signing.pairKey(callee, at);
        return key === undefined ? [] : [[at, key] as const];
      });
      outbound[callee] = { kid: own.signing.kid, keys: Object.fromEntries(keys) };
    }
    for (const [caller, { accepted }] of this.#callers)
      inbound[caller] = accepted.flatMap((root) => {
        const key = root.pairKey(service, host);
        if (key === undefined) return [];
        return [{ kid: root.kid, key, ...(root.notAfter !== undefined && { not_after: root.notAfter }) }];
      });
    return { service, host, outbound, inbound };
  }
}

/** Every keyring at once, by `placeName`. */
export function renderKeyrings(fleet: Fleet, registry: Registry, nowMs: number): Map<string, KeyringFile> {
  const renderer = new KeyringRenderer(fleet, registry, nowMs);
  return new Map(renderer.places.map((place) => [placeName(place), renderer.keyringOf(place)] as const));
}

function callerRoots(
  name: string,
  registry: Registry,
  nowMs: number,
  carried: CarriedKeys | undefined,
): CallerRoots | undefined {
  const { current, pending, previous } = rootsInForce(registry.services.get(name) ?? {});
  if (current === undefined) return undefined;
  const rotation = registry.rotation?.services.includes(name) ? registry.rotation : undefined;
  const next = rotation === undefined ? undefined : pending;
  const old = previous !== undefined && Date.parse(previous.notAfter) > nowMs ? previous : undefined;
  const signing = next !== undefined && rotation && signersHaveSwitched[rotation.phase] ? next : current;
  const accepted = [next, current, old]
    .filter((root) => root !== undefined)
    .map((root) => callerRoot(name, root, carried));
  return { signing: accepted.find(({ kid }) => kid === signing.kid) as CallerRoot, accepted };
}

function callerRoot(
  caller: string,
  root: Root & { readonly notAfter?: string },
  carried: CarriedKeys | undefined,
): CallerRoot {
  const { kid, key, notAfter } = root;
  if (key === undefined) return { kid, notAfter, pairKey: (callee, host) => carried?.get(kid, callee, host) };
  const pairKeys = new PairKeys(key);
  const generation = generationOf(root);
  return { kid, notAfter, pairKey: (callee, host) => pairKeys.base64({ caller, callee, host, generation }) };
}
