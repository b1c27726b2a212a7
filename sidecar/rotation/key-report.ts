import { type Fleet, isKeyringOnly } from '../config/fleet.ts';
import type { LoadedKeys } from '../keyring/loaded-keys.ts';
import { splitKeyId } from '../terms/kid.ts';
import { kidsOf } from './generations-in-use.ts';
import {
  keyedPlaces,
  placeName,
  type Registry,
  type Rotation,
  rootsInForce,
  rotationPeriodDays,
} from './roots.ts';

const dayMs = 86_400_000;

/** What one sidecar says of its keys. */
export interface Sighting {
  readonly service: string;
  readonly host: string;
  readonly keys: LoadedKeys;
  /** Times that each key id was used since that sidecar's start; undefined when it does not say. */
  readonly uses?: ReadonlyMap<string, number>;
}

/**
 * `pending`: accepted, not yet signed with. `active`: signed with. `retiring`: accepted until `not_after`.
 * `unknown`: a sidecar has it, and the registry does not (any more).
 */
export type KeyState = 'pending' | 'active' | 'retiring' | 'unknown';

/** One generation of one service's key. */
export interface KeyLine {
  readonly service: string;
  readonly kid: string;
  readonly generation: number;
  readonly state: KeyState;
  readonly created_at?: string;
  readonly age_days?: number;
  /** Of the active key; negative when it is overdue. */
  readonly rotation_due_in_days?: number;
  readonly not_after?: string;
  /** Sidecars, as SERVICE@HOST, that sign with it. */
  readonly signed_with_by: readonly string[];
  readonly accepted_by: readonly string[];
  readonly uses?: number;
}

export interface KeyReport {
  readonly keys: readonly KeyLine[];
  readonly rotation?: Rotation;
  /** Key ids whose root the registry has lost: their pair keys live in the keyrings alone. */
  readonly lost: readonly string[];
  readonly revoked_hosts: readonly { readonly host: string; readonly at: string }[];
  /** Services of the fleet without a key. */
  readonly without_key: readonly string[];
  readonly revoked: readonly { readonly service: string; readonly at: string }[];
  /** Sidecars that did not say what they have loaded. */
  readonly silent: readonly string[];
}

/** Puts together what the registry holds and what the sidecars say that they hold. */
export function keyReport(
  fleet: Fleet,
  registry: Registry,
  sightings: readonly Sighting[],
  nowMs: number,
): KeyReport {
  const keys: KeyLine[] = [];
  for (const [service, roots] of registry.services) {
    const { current, pending, previous } = rootsInForce(roots);
    for (const [state, root] of [
      ['pending', pending],
      ['active', current],
      ['retiring', previous],
    ] as const) {
      if (root === undefined) continue;
      const age = Math.floor((nowMs - Date.parse(root.createdAt)) / dayMs);
      keys.push({
        ...lineOf(root.kid, state, sightings),
        created_at: root.createdAt,
        age_days: age,
        ...(state === 'active' && { rotation_due_in_days: rotationPeriodDays - age }),
        ...(state === 'retiring' && previous && { not_after: previous.notAfter }),
      });
    }
    for (const kid of kidsSeen(sightings))
      if (splitKeyId(kid).caller === service && !keys.some((line) => line.kid === kid))
        keys.push(lineOf(kid, 'unknown', sightings));
  }
  const heard = new Set(sightings.map(({ service, host }) => `${service}@${host}`));
  const entries = [...registry.services];
  return {
    keys,
    ...(registry.rotation && { rotation: registry.rotation }),
    lost: entries.flatMap(([, roots]) => {
      const { current } = rootsInForce(roots);
      return current !== undefined && current.key === undefined ? [current.kid] : [];
    }),
    revoked_hosts: [...(registry.revokedHosts ?? [])].map(([host, at]) => ({ host, at })),
    without_key: entries.filter(([, roots]) => !rootsInForce(roots).current).map(([service]) => service),
    revoked: entries.flatMap(([service, roots]) =>
      roots.revoked && !rootsInForce(roots).current ? [{ service, at: roots.revoked.at }] : [],
    ),
    silent: keyedPlaces(fleet, registry)
      .filter(({ service }) => !isKeyringOnly(fleet, service))
      .map(placeName)
      .filter((place) => !heard.has(place)),
  };
}

function lineOf(kid: string, state: KeyState, sightings: readonly Sighting[]): KeyLine {
  const { caller, generation } = splitKeyId(kid);
  const place = ({ service, host }: Sighting) => `${service}@${host}`;
  const counts = sightings.flatMap(({ uses }) => (uses === undefined ? [] : [uses.get(kid) ?? 0]));
  return {
    service: caller,
    kid,
    generation,
    state,
    signed_with_by: sightings
      .filter(({ keys }) => Object.values(keys.outbound).some((out) => out.kid === kid))
      .map(place),
    accepted_by: sightings
      .filter(({ keys }) => keys.inbound[caller]?.some((each) => each.kid === kid))
      .map(place),
    ...(counts.length > 0 && { uses: counts.reduce((sum, count) => sum + count, 0) }),
  };
}

function kidsSeen(sightings: readonly Sighting[]): Set<string> {
  return new Set(sightings.flatMap(({ keys }) => [...kidsOf(keys)]));
}
