import { type Registry, type RotationPhase, rootsInForce } from './roots.ts';

/** The one thing to do next. Each is safe to do again, so a rotation killed at any moment goes on where it was. */
export type RotationAction =
  /** Make the pending roots of services. */
  | { readonly kind: 'stage'; readonly services: readonly string[] }
  /** Give every sidecar its keyring, and wait until all have loaded it. */
  | { readonly kind: 'deliver' }
  /** Compare what every sidecar has in memory with what the registry gives it: both ends of every pair. */
  | { readonly kind: 'probe' }
  | { readonly kind: 'advance'; readonly to: RotationPhase }
  /** Make the pending roots of services current, and the current ones previous. */
  | { readonly kind: 'promote'; readonly services: readonly string[] }
  | { readonly kind: 'finish' };

/** What this rotator has seen done in the phase that the rotation is in. */
export type Progress = 'none' | 'delivered' | 'probed';

/**
 * Decides the next step of a rotation: make the new generation → every verifier has loaded both, and they are the right
 * keys → every signer has loaded the new one, and every pair fits → promote → every verifier has loaded when the old one ends.
 */
export function nextAction(registry: Registry, progress: Progress): RotationAction {
  const { rotation } = registry;
  if (rotation === undefined) return { kind: 'finish' };
  const { phase } = rotation;
  const of = (service: string) => registry.services.get(service) ?? {};
  if (phase === 'staging') {
    const services = rotation.services.filter((name) => {
      const { current, pending } = rootsInForce(of(name));
      return current !== undefined && pending === undefined;
    });
    if (services.length > 0) return { kind: 'stage', services };
  }
  if (phase === 'promoting') {
    // A pending root that is no longer newer than the current one is one whose promotion was cut short.
    const services = rotation.services.filter((name) => of(name).pending !== undefined);
    return services.length > 0 ? { kind: 'promote', services } : { kind: 'advance', to: 'retiring' };
  }
  if (progress === 'none') return { kind: 'deliver' };
  if (phase === 'retiring') return { kind: 'finish' };
  if (progress === 'delivered') return { kind: 'probe' };
  return { kind: 'advance', to: phase === 'staging' ? 'switching' : 'promoting' };
}
