import type { KeyringFile } from '../keyring/keyring-file.ts';
import { type Registry, type RotationPhase, rootsInForce } from './roots.ts';

/** The one thing to do next. Each is safe to do again, so a rotation killed at any moment goes on where it was. */
export type RotationAction =
  /** Make the pending root of a service. */
  | { readonly kind: 'stage'; readonly service: string }
  /** Give these sidecars their keyring, and wait until they have loaded it. */
  | { readonly kind: 'deliver'; readonly to: readonly string[] }
  | { readonly kind: 'advance'; readonly to: RotationPhase }
  /** Make the pending root of a service its current one, and the current one its previous. */
  | { readonly kind: 'promote'; readonly service: string }
  | { readonly kind: 'finish' };

/**
 * Decides the next step of a rotation: make the new generation → every verifier has loaded both → every signer has
 * loaded the new one → promote → every verifier has loaded when the old one ends.
 *
 * @param wanted every sidecar's keyring as the registry now says, by place
 * @param loaded the issue of the keyring that each sidecar says it has loaded, by place
 */
export function nextAction(
  registry: Registry,
  wanted: ReadonlyMap<string, KeyringFile>,
  loaded: ReadonlyMap<string, string | undefined>,
): RotationAction {
  const { rotation } = registry;
  if (rotation === undefined) return { kind: 'finish' };
  const of = (service: string) => registry.services.get(service) ?? {};
  if (rotation.phase === 'staging') {
    const service = rotation.services.find((name) => {
      const { current, pending } = rootsInForce(of(name));
      return current !== undefined && pending === undefined;
    });
    if (service !== undefined) return { kind: 'stage', service };
  }
  if (rotation.phase === 'promoting') {
    // A pending root that is no longer newer than the current one is one whose promotion was cut short.
    const service = rotation.services.find((name) => of(name).pending !== undefined);
    return service !== undefined ? { kind: 'promote', service } : { kind: 'advance', to: 'retiring' };
  }
  const behind = placesBehind(wanted, loaded);
  if (behind.length > 0) return { kind: 'deliver', to: behind };
  if (rotation.phase === 'staging') return { kind: 'advance', to: 'switching' };
  if (rotation.phase === 'switching') return { kind: 'advance', to: 'promoting' };
  return { kind: 'finish' };
}

/** The sidecars that have not loaded the keyring that they should have. */
export function placesBehind(
  wanted: ReadonlyMap<string, KeyringFile>,
  loaded: ReadonlyMap<string, string | undefined>,
): string[] {
  return [...wanted.keys()].filter((place) => {
    const issue = wanted.get(place)?.issue;
    return issue === undefined || loaded.get(place) !== issue;
  });
}
