import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { RegistryError } from '../keyring/errors.ts';
import { highestGeneration, keyId } from '../terms/kid.ts';
import type { RegistryClient } from './registry-connection.ts';
import * as scripts from './registry-scripts.ts';
import {
  generationOf,
  gracePeriodSeconds,
  type PreviousRoot,
  type Registry,
  type Root,
  type Rotation,
  type RotationPhase,
  type ServiceRoots,
} from './roots.ts';

/** A rotator that dies holding the lock keeps others out for so long. */
export const lockMs = 10_000;

const rotationKey = 'service:key::rotation';
const phases: readonly string[] = ['staging', 'switching', 'promoting', 'retiring'] satisfies RotationPhase[];

/**
 * The key registry in Redis: `service:key:{id}` with `:new`, `:previous`, `:revoked` and `:generation` beside it, and
 * `service:key::rotation` (no service has an empty name) for the rotation under way and its lock.
 * Every write is one atomic command on one key and safe to repeat.
 */
export class KeyRegistry {
  readonly #client: RegistryClient;
  readonly #token = randomBytes(16).toString('hex');

  constructor(client: RegistryClient) {
    this.#client = client;
  }

  /** @throws {RegistryError} registry-malformed when it holds what no rotator wrote */
  async read(services: Iterable<string>): Promise<Registry> {
    const [entries, rotation] = await Promise.all([
      Promise.all([...services].map(async (name) => [name, await this.#readService(name)] as const)),
      this.#readRotation(),
    ]);
    return { services: new Map(entries), ...(rotation && { rotation }) };
  }

  /** Makes the first root of a service, or of one that has none any more. @returns false when it has one by now */
  async create(service: string, usedGeneration: number, nowMs: number): Promise<boolean> {
    const root = await this.#makeRoot(service, usedGeneration, nowMs);
    return this.#put(keyOf(service), root, 0, 'absent');
  }

  /** Makes the pending root of a service, the next generation. */
  async stage(service: string, usedGeneration: number, nowMs: number): Promise<void> {
    await this.#put(keyOf(service, 'new'), await this.#makeRoot(service, usedGeneration, nowMs), 0, 'newer');
  }

  /** Makes the pending root current and the current one previous, to end after the grace period. */
  async promote(service: string, nowMs: number): Promise<void> {
    const { current, pending } = await this.#readService(service);
    if (pending === undefined) return;
    if (current !== undefined && generationOf(current) < generationOf(pending)) {
      const notAfter = new Date(nowMs + gracePeriodSeconds * 1000).toISOString();
      await this.#put(keyOf(service, 'previous'), { ...current, notAfter }, gracePeriodSeconds, 'newer');
      await this.#put(keyOf(service), pending, 0, 'newer');
    }
    await this.#client.eval(scripts.dropRoot, 1, keyOf(service, 'new'), pending.kid);
  }

  /** Ends every root of a service for good: whatever generation it has had until now is never in force again. */
  async revoke(service: string, usedGeneration: number, nowMs: number): Promise<void> {
    const generation = await this.#nextGeneration(service, usedGeneration);
    const at = new Date(nowMs).toISOString();
    await this.#client.eval(scripts.markRevoked, 1, keyOf(service, 'revoked'), String(generation), at);
    for (const suffix of [undefined, 'new', 'previous'] as const)
      await this.#client.del(keyOf(service, suffix));
  }

  async beginRotation(services: readonly string[], nowMs: number): Promise<void> {
    const fields = {
      id: randomBytes(8).toString('hex'),
      services: JSON.stringify(services),
      phase: 'staging',
      started_at: new Date(nowMs).toISOString(),
    };
    await this.#asHolder(scripts.writeRotation, ...Object.entries(fields).flat());
  }

  async advanceRotation(phase: RotationPhase): Promise<void> {
    await this.#asHolder(scripts.writeRotation, 'phase', phase);
  }

  async endRotation(): Promise<void> {
    await this.#asHolder(scripts.endRotation);
  }

  /** @returns who holds the lock, or undefined when it is ours now */
  async lock(options: { takeOver: boolean }): Promise<string | undefined> {
    const name = `${hostname()}, process ${process.pid}`;
    const force = options.takeOver ? '1' : '0';
    const args = [this.#token, name, String(lockMs), force] as const;
    const holder = String(await this.#client.eval(scripts.acquireLock, 1, rotationKey, ...args));
    return holder === '' ? undefined : holder;
  }

  /** @throws {RegistryError} registry-lock-lost */
  async renewLock(): Promise<void> {
    await this.#asHolder(scripts.renewLock, String(lockMs));
  }

  async unlock(): Promise<void> {
    await this.#client.eval(scripts.releaseLock, 1, rotationKey, this.#token);
  }

  async #asHolder(script: string, ...args: string[]): Promise<void> {
    if ((await this.#client.eval(script, 1, rotationKey, this.#token, ...args)) === 1) return;
    throw new RegistryError('registry-lock-lost', 'another rotator has taken over; this one stops');
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

  async #nextGeneration(service: string, usedGeneration: number): Promise<number> {
    const args = [keyOf(service, 'generation'), String(usedGeneration)] as const;
    return Number(await this.#client.eval(scripts.nextGeneration, 1, ...args));
  }

  async #put(
    key: string,
    root: Root | PreviousRoot,
    seconds: number,
    when: 'absent' | 'newer',
  ): Promise<boolean> {
    const fields = {
      kid: root.kid,
      key: root.key.toString('base64'),
      created_at: root.createdAt,
      ...('notAfter' in root && { not_after: root.notAfter }),
    };
    const args = [String(generationOf(root)), String(seconds), when, ...Object.entries(fields).flat()];
    return (await this.#client.eval(scripts.putRoot, 1, key, ...args)) === 1;
  }

  async #readService(service: string): Promise<ServiceRoots> {
    const [current, pending, previous, revoked] = await Promise.all([
      this.#readRoot(service, keyOf(service)),
      this.#readRoot(service, keyOf(service, 'new')),
      this.#readRoot(service, keyOf(service, 'previous')),
      this.#client.hgetall(keyOf(service, 'revoked')),
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
    const { kid, key, created_at, not_after } = await this.#client.hgetall(at);
    if (kid === undefined && key === undefined) return undefined;
    const bytes = Buffer.from(key ?? '', 'base64');
    const sound =
      keyId.safeParse(kid).success &&
      kid?.startsWith(`${service}/`) &&
      bytes.length === 32 &&
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
    const { id, services, phase, started_at } = await this.#client.hgetall(rotationKey);
    if (id === undefined) return undefined;
    if (phase === undefined || !phases.includes(phase) || services === undefined)
      throw new RegistryError('registry-malformed', `${rotationKey}: found no rotation that can be resumed`);
    return {
      id,
      services: JSON.parse(services) as string[],
      phase: phase as RotationPhase,
      startedAt: started_at ?? '',
    };
  }
}

function keyOf(service: string, suffix?: 'new' | 'previous' | 'revoked' | 'generation'): string {
  return suffix === undefined ? `service:key:${service}` : `service:key:${service}:${suffix}`;
}
