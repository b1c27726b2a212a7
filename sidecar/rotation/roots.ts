import type { Fleet } from '../config/fleet.ts';
import { splitKeyId } from '../terms/kid.ts';

/** How long a replaced root and its pair keys are still accepted: EX 86400. */
export const gracePeriodSeconds = 86_400;

/**
 * The grace of a root that a revoked host holds: no sidecar signs with it any more, and what is under way was signed
 * within the window of 300 s.
 */
export const revokedHostGraceSeconds = 300;

/** Age at which a key is due for rotation. */
export const rotationPeriodDays = 90;

/** A root key as the registry holds it. */
export interface Root {
  readonly kid: string;
  /** 32 bytes; undefined when the registry lost it, and its pair keys live on in the keyrings alone until a rotation. */
  readonly key: Buffer | undefined;
  /** RFC 3339. */
  readonly createdAt: string;
}

export interface PreviousRoot extends Root {
  /** RFC 3339; the pair keys made from it are refused from then on. */
  readonly notAfter: string;
}

/** What the registry says of one service. */
export interface ServiceRoots {
  readonly current?: Root;
  /** Made by a rotation that has not promoted it yet. */
  readonly pending?: Root;
  readonly previous?: PreviousRoot;
  /** Every generation up to this one is revoked for good. */
  readonly revoked?: { readonly generation: number; readonly at: string };
}

/**
 * How far a rotation has come. `staging`: verifiers get both generations. `switching`: signers get the new one.
 * `promoting`: the registry makes the new one current. `retiring`: verifiers learn when the old one ends.
 */
export type RotationPhase = 'staging' | 'switching' | 'promoting' | 'retiring';

/** A rotation that has begun and not ended. */
export interface Rotation {
  readonly id: string;
  readonly services: readonly string[];
  readonly phase: RotationPhase;
  /** RFC 3339. */
  readonly startedAt: string;
}

/** The whole registry at one moment. */
export interface Registry {
  readonly services: ReadonlyMap<string, ServiceRoots>;
  /** Hosts that rotations leave out until they are readmitted, and since when (RFC 3339). */
  readonly revokedHosts?: ReadonlyMap<string, string>;
  readonly rotation?: Rotation;
}

/** One sidecar: a service on one of its hosts. */
export interface Place {
  readonly service: string;
  readonly host: string;
}

export function placeName(place: Place): string {
  return `${place.service}@${place.host}`;
}

/** Every sidecar of the fleet that is to have a keyring. */
export function keyedPlaces(fleet: Fleet, registry: Registry): Place[] {
  return placesOf(fleet).filter(({ host }) => registry.revokedHosts?.has(host) !== true);
}

/** Every sidecar of the fleet. */
export function placesOf(fleet: Fleet): Place[] {
  return [...fleet.services.values()].flatMap((service) =>
    service.hosts.map((host) => ({ service: service.name, host })),
  );
}

/** How long the current root of a service is still accepted once it is replaced. */
export function graceOf(service: string, current: Root, fleet: Fleet, registry: Registry): number {
  const held = fleet.services.get(service)?.hosts.some((host) => {
    const revokedAt = registry.revokedHosts?.get(host);
    return revokedAt !== undefined && current.createdAt < revokedAt;
  });
  return held === true ? revokedHostGraceSeconds : gracePeriodSeconds;
}

export function generationOf(root: Root): number {
  return splitKeyId(root.kid).generation;
}

/**
 * The roots that count. Generations only rise, so a write that comes too late (of a rotator that was paused while
 * another took over) is told by its number: whatever is revoked, and a pending root that is not newer than
 * the current one, does not exist.
 */
export function rootsInForce(roots: ServiceRoots): Pick<ServiceRoots, 'current' | 'pending' | 'previous'> {
  const floor = roots.revoked?.generation ?? 0;
  const live = <R extends Root>(root: R | undefined) =>
    root !== undefined && generationOf(root) > floor ? root : undefined;
  const current = live(roots.current);
  const pending = live(roots.pending);
  const previous = live(roots.previous);
  return {
    ...(current && { current }),
    ...(current && pending && generationOf(pending) > generationOf(current) && { pending }),
    ...(current && previous && generationOf(previous) < generationOf(current) && { previous }),
  };
}
