import type { RedisClient } from './redis-connection.ts';
import * as scripts from './redis-scripts.ts';
import type { Lock, RegistryStore, StoredRoot } from './registry-store.ts';

/** The registry in Redis: each write is one Lua script on one key. */
export class RedisStore implements RegistryStore {
  readonly #client: RedisClient;

  constructor(client: RedisClient) {
    this.#client = client;
  }

  readHash(name: string): Promise<Record<string, string>> {
    return this.#client.hgetall(name);
  }

  async readCounter(name: string): Promise<number> {
    return Number((await this.#client.get(name)) ?? '0');
  }

  async nextNumber(name: string, used: number): Promise<number> {
    return Number(await this.#run(scripts.nextNumber, name, String(used)));
  }

  async putRoot(name: string, { generation, secondsToLive, when, fields }: StoredRoot): Promise<boolean> {
    const args = [String(generation), String(secondsToLive), when, ...Object.entries(fields).flat()];
    return (await this.#run(scripts.putRoot, name, ...args)) === 1;
  }

  async dropRoot(name: string, kid: string): Promise<void> {
    await this.#run(scripts.dropRoot, name, kid);
  }

  async markRevoked(name: string, generation: number, at: string): Promise<void> {
    await this.#run(scripts.markRevoked, name, String(generation), at);
  }

  async delete(name: string): Promise<void> {
    await this.#client.del(name);
  }

  async setField(name: string, field: string, value: string): Promise<void> {
    await this.#run(scripts.setField, name, field, value);
  }

  async removeField(name: string, field: string): Promise<void> {
    await this.#run(scripts.removeField, name, field);
  }

  async acquireLock(name: string, { token, holder, forMs, takeOver }: Lock): Promise<string | undefined> {
    const args = [token, holder, String(forMs), takeOver ? '1' : '0'] as const;
    const held = String(await this.#run(scripts.acquireLock, name, ...args));
    return held === '' ? undefined : held;
  }

  async renewLock(name: string, token: string, forMs: number): Promise<boolean> {
    return (await this.#run(scripts.renewLock, name, token, String(forMs))) === 1;
  }

  async releaseLock(name: string, token: string): Promise<void> {
    await this.#run(scripts.releaseLock, name, token);
  }

  async writeAsHolder(name: string, token: string, fields: Record<string, string>): Promise<boolean> {
    return (await this.#run(scripts.writeAsHolder, name, token, ...Object.entries(fields).flat())) === 1;
  }

  async removeAsHolder(name: string, token: string, fields: readonly string[]): Promise<boolean> {
    return (await this.#run(scripts.removeAsHolder, name, token, ...fields)) === 1;
  }

  #run(script: string, key: string, ...args: string[]): Promise<unknown> {
    return this.#client.eval(script, 1, key, ...args);
  }
}
