import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { RegistryError } from '../keyring/errors.ts';
import { highestGeneration, keyId } from '../terms/kid.ts';
import type { RegistryStore } from './registry-store.ts';
import {
  generationOf,
  type PreviousRoot,
  type Registry,
  type Root,
  type Rotation,
  type RotationPhase,
  type ServiceRoots,
} from './roots.ts';

/** A rotator that dies holding the lock keeps others out for so long. */
export const lockMs = 10_000;

const rotationName = 'service:key::rotation';
const hostsName = 'service:key::hosts';
const phases: readonly string[] = ['staging', 'switching', 'promoting', 'retiring'] satisfies RotationPhase[];

/**
 * The key registry: `service:key:{id}` with `:new`, `:previous`, `:revoked` and `:generation` beside it,
 * `service:key::hosts` (no service has an empty name) for revoked hosts, and `service:key::rotation` for the rotation
 * under way and its lock. Every write is one atomic operation on one name and safe to repeat.
 */
export class KeyRegistry {
  readonly #store: RegistryStore;
  readonly #token = randomBytes(16).toString('hex');

  constructor(store: RegistryStore) {
    this.#store = store;
  }

  /** @throws {RegistryError} registry-malformed when it holds what no rotator wrote */
  async read(services: Iterable<string>): Promise<Registry> {
    const [entries, hosts, rotation] = await Promise.all([
      Promise.all([...services].map(async (name) => [name, await this.#readService(name)] as const)),
      this.#store.readHash(hostsName),
      this.#readRotation(),
    ]);
    return {
      services: new Map(entries),
      revokedHosts: new Map(Object.entries(hosts)),
      ...(rotation && { rotation }),
    };
  }

  /** The highest generation that a service has ever had, as the registry knows. */
  generationsUsed(service: string): Promise<number> {
    return this.#store.readCounter(nameOf(service, 'generation'));
  }

  /** Makes the first root of a service, or of one that has none any more. @returns false when it has one by now */
  async create(service: string, usedGeneration: number, nowMs: number): Promise<boolean> {
    const root = await this.#makeRoot(service, usedGeneration, nowMs);
    return this.#put(nameOf(service), root, 0, 'absent');
  }

  /** Makes the pending root of a service, the next generation. */
  async stage(service: string, usedGeneration: number, nowMs: number): Promise<void> {
    await this.#put(nameOf(service, 'new'), await this.#makeRoot(service, usedGeneration, nowMs), 0, 'newer');
  }

  /** Makes the pending root current and the current one previous, to end after the grace period. */
  async promote(service: string, graceSeconds: number, nowMs: number): Promise<void> {
    const { current, pending } = await this.#readService(service);
    if (pending === undefined) return;
    if (current !== undefined && generationOf(current) < generationOf(pending)) {
      const notAfter = new Date(nowMs + graceSeconds * 1000).toISOString();
      await this.#put(nameOf(service, 'previous'), { ...current, notAfter }, graceSeconds, 'newer');
      await this.#put(nameOf(service), pending, 0, 'newer');
    }
    await this.#store.dropRoot(nameOf(service, 'new'), pending.kid);
  }

  /**
   * Puts the roots of a backup, or the names of lost ones, where none of their generation or a newer one are. The
   * counter goes up first: whatever happens then, no generation is made twice.
   */
  async restore(service: string, roots: ServiceRoots, usedGeneration: number, nowMs: number): Promise<void> {
    if (usedGeneration > 0 && (await this.generationsUsed(service)) < usedGeneration)
      await this.#store.nextNumber(nameOf(service, 'generation'), usedGeneration - 1);
    const { current, pending, previous, revoked } = roots;
    if (revoked !== undefined)
      await this.#store.markRevoked(nameOf(service, 'revoked'), revoked.generation, revoked.at);
    const left = previous === undefined ? 0 : Math.ceil((Date.parse(previous.notAfter) - nowMs) / 1000);
    if (previous !== undefined && left > 0)
      await this.#put(nameOf(service, 'previous'), previous, left, 'newer');
    if (pending !== undefined) await this.#put(nameOf(service, 'new'), pending, 0, 'newer');
    if (current !== undefined) await this.#put(nameOf(service), current, 0, 'newer');
  }

  /** Ends every root of a service for good: whatever generation it has had until now is never in force again. */
  async revoke(service: string, usedGeneration: number, nowMs: number): Promise<void> {
    const generation = await this.#nextGeneration(service, usedGeneration);
    const at = new Date(nowMs).toISOString();
    await this.#store.markRevoked(nameOf(service, 'revoked'), generation, at);
    for (const suffix of [undefined, 'new', 'previous'] as const)
      await this.#store.delete(nameOf(service, suffix));
  }

  /** From now on no keyring is made for a host. */
  async revokeHost(host: string, atMs: number): Promise<void> {
    await this.#store.setField(hostsName, host, new Date(atMs).toISOString());
  }

  async readmitHost(host: string): Promise<void> {
    await this.#store.removeField(hostsName, host);
  }

  async beginRotation(services: readonly string[], nowMs: number): Promise<void> {
    const fields = {
      id: randomBytes(8).toString('hex'),
      services: JSON.stringify(services),
      phase: 'staging',
      started_at: new Date(nowMs).toISOString(),
    };
    await this.#write(fields);
  }

  async advanceRotation(phase: RotationPhase): Promise<void> {
    await this.#write({ phase });
  }

  async endRotation(): Promise<void> {
    const fields = ['id', 'services', 'phase', 'started_at'];
    ifHeld(await this.#store.removeAsHolder(rotationName, this.#token, fields));
  }

  /** @returns who holds the lock, or undefined when it is ours now */
  lock({ takeOver }: { takeOver: boolean }): Promise<string | undefined> {
    const holder = `${hostname()}, process ${process.pid}`;
    return this.#store.acquireLock(rotationName, { token: this.#token, holder, forMs: lockMs, takeOver });
  }

  /** @throws {RegistryError} registry-lock-lost */
  async renewLock(): Promise<void> {
    ifHeld(await this.#store.renewLock(rotationName, this.#token, lockMs));
  }

  async unlock(): Promise<void> {
    await this.#store.releaseLock(rotationName, this.#token);
  }

  async #write(fields: Readonly<Record<string, string>>): Promise<void> {
    ifHeld(await this.#store.writeAsHolder(rotationName, this.#token, fields));
  }

  async #makeRoot(service: string, usedGeneration: number, nowMs: number): Promise<Root> {
    const generation = await this.#nextGeneration(service, usedGeneration);
    if (generation > highestGeneration)
      throw new RegistryError('registry-malformed', `service:key:${service}:generation: found ${generation}`);
    return {
      kid: `${service}/${generation}`,
      key: randomBytes(32),
      createdAt: new Date(nowMs).toISOString(),
    };
  }

  #nextGeneration(service: string, usedGeneration: number): Promise<number> {
    return this.#store.nextNumber(nameOf(service, 'generation'), usedGeneration);
  }

  #put(
    name: string,
    root: Root | PreviousRoot,
    secondsToLive: number,
    when: 'absent' | 'newer',
  ): Promise<boolean> {
    const fields = {
      kid: root.kid,
      ...(root.key === undefined ? { lost: '1' } : { key: root.key.toString('base64') }),
      created_at: root.createdAt,
      ...('notAfter' in root && { not_after: root.notAfter }),
    };
    return this.#store.putRoot(name, { generation: generationOf(root), secondsToLive, when, fields });
  }

  async #readService(service: string): Promise<ServiceRoots> {
    const [current, pending, previous, revoked] = await Promise.all([
      this.#readRoot(service, nameOf(service)),
      this.#readRoot(service, nameOf(service, 'new')),
      this.#readRoot(service, nameOf(service, 'previous')),
      this.#store.readHash(nameOf(service, 'revoked')),
    ]);
    return {
      ...(current && { current }),
      ...(pending && { pending }),
      ...(previous?.notAfter !== undefined && { previous: { ...previous, notAfter: previous.notAfter } }),
      ...(revoked.generation && {
        revoked: { generation: Number(revoked.generation), at: revoked.at ?? '' },
      }),
    };
  }

  async #readRoot(service: string, at: string): Promise<(Root & { notAfter?: string }) | undefined> {
    const { kid, key, lost, created_at, not_after } = await this.#store.readHash(at);
    if (kid === undefined && key === undefined) return undefined;
    const bytes = lost === '1' ? undefined : Buffer.from(key ?? '', 'base64');
    const sound =
      keyId.safeParse(kid).success &&
      kid?.startsWith(`${service}/`) &&
      (bytes === undefined || bytes.length === 32) &&
      !Number.isNaN(Date.parse(created_at ?? '')) &&
      (not_after === undefined || !Number.isNaN(Date.parse(not_after)));
    if (!sound)
      throw new RegistryError(
        'registry-malformed',
        `${at}: found no root key, expected a hash of kid (${service}/N), key (32 bytes in base64) and created_at`,
      );
    return {
      kid: kid as string,
      key: bytes,
      createdAt: created_at as string,
      ...(not_after !== undefined && { notAfter: not_after }),
    };
  }

  async #readRotation(): Promise<Rotation | undefined> {
    const { id, services, phase, started_at } = await this.#store.readHash(rotationName);
    if (id === undefined) return undefined;
    if (phase === undefined || !phases.includes(phase) || services === undefined)
      throw new RegistryError('registry-malformed', `${rotationName}: found no rotation that can be resumed`);
    return {
      id,
      services: JSON.parse(services) as string[],
      phase: phase as RotationPhase,
      startedAt: started_at ?? '',
    };
  }
}

function nameOf(service: string, suffix?: 'new' | 'previous' | 'revoked' | 'generation'): string {
  return suffix === undefined ? `service:key:${service}` : `service:key:${service}:${suffix}`;
}

/** @throws {RegistryError} registry-lock-lost */
function ifHeld(held: boolean): void {
  if (!held) throw new RegistryError('registry-lock-lost', 'another rotator has taken over; this one stops');
}
