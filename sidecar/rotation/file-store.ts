import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { RegistryError } from '../keyring/errors.ts';
import type { Lock, RegistryStore, StoredRoot } from './registry-store.ts';

/** Waits so long for another process's operation, which takes milliseconds. */
const busyTimeoutMs = 10_000;

const schema = `
CREATE TABLE IF NOT EXISTS fields (
  name TEXT NOT NULL, field TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (name, field)
) WITHOUT ROWID, STRICT;
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID, STRICT;
CREATE TABLE IF NOT EXISTS expiries (name TEXT PRIMARY KEY, at_ms INTEGER NOT NULL) WITHOUT ROWID, STRICT;`;

/**
 * The registry in a file, for a fleet that has no Redis: a SQLite database, mode 0600. Each operation is a transaction
 * that holds SQLite's lock and is synced to the disk, so that several processes and a crash at any moment are safe.
 */
export class FileStore implements RegistryStore {
  readonly #database: DatabaseSync;
  readonly #now: () => number;

  private constructor(database: DatabaseSync, now: () => number) {
    this.#database = database;
    this.#now = now;
  }

  /** @throws {RegistryError} registry-refused, when others can read the file; registry-unreachable */
  static async open(file: string, now: () => number = Date.now): Promise<FileStore> {
    await makePrivate(file);
    try {
      const database = new DatabaseSync(file, { timeout: busyTimeoutMs });
      database.exec(
        `PRAGMA journal_mode = DELETE; PRAGMA synchronous = EXTRA; PRAGMA secure_delete = ON;${schema}`,
      );
      return new FileStore(database, now);
    } catch (error) {
      throw fault(file, error);
    }
  }

  close(): void {
    this.#database.close();
  }

  async readHash(name: string): Promise<Record<string, string>> {
    return this.#atomically(() => this.#hash(name));
  }

  async readCounter(name: string): Promise<number> {
    return this.#atomically(() => this.#counter(name));
  }

  async nextNumber(name: string, used: number): Promise<number> {
    return this.#atomically(() => {
      const next = Math.max(this.#counter(name), used) + 1;
      this.#run('INSERT OR REPLACE INTO counters VALUES (?, ?)', name, next);
      return next;
    });
  }

  async putRoot(name: string, { generation, secondsToLive, when, fields }: StoredRoot): Promise<boolean> {
    return this.#atomically(() => {
      const held = Number(/\/(\d+)$/.exec(this.#hash(name).kid ?? '')?.[1] ?? 0);
      if (held === generation) return true;
      if (held > generation || (held > 0 && when === 'absent')) return false;
      this.#delete(name);
      this.#write(name, fields);
      if (secondsToLive > 0)
        this.#run('INSERT INTO expiries VALUES (?, ?)', name, this.#now() + secondsToLive * 1000);
      return true;
    });
  }

  async dropRoot(name: string, kid: string): Promise<void> {
    this.#atomically(() => {
      if (this.#hash(name).kid === kid) this.#delete(name);
    });
  }

  async markRevoked(name: string, generation: number, at: string): Promise<void> {
    this.#atomically(() => {
      const held = Number(this.#hash(name).generation ?? 0);
      this.#write(name, { generation: String(Math.max(held, generation)), at });
    });
  }

  async delete(name: string): Promise<void> {
    this.#atomically(() => this.#delete(name));
  }

  async setField(name: string, field: string, value: string): Promise<void> {
    this.#atomically(() => this.#write(name, { [field]: value }));
  }

  async removeField(name: string, field: string): Promise<void> {
    this.#atomically(() => this.#remove(name, [field]));
  }

  async acquireLock(name: string, { token, holder, forMs, takeOver }: Lock): Promise<string | undefined> {
    return this.#atomically(() => {
      const held = this.#hash(name);
      const taken = held.holder !== undefined && held.holder !== token && Number(held.until) > this.#now();
      if (taken && !takeOver) return held.holder_name ?? 'another process';
      this.#write(name, { holder: token, holder_name: holder, until: String(this.#now() + forMs) });
      return undefined;
    });
  }

  async renewLock(name: string, token: string, forMs: number): Promise<boolean> {
    return this.#asHolder(name, token, () => this.#write(name, { until: String(this.#now() + forMs) }));
  }

  async releaseLock(name: string, token: string): Promise<void> {
    this.#asHolder(name, token, () => this.#remove(name, ['holder', 'holder_name', 'until']));
  }

  async writeAsHolder(name: string, token: string, fields: Record<string, string>): Promise<boolean> {
    return this.#asHolder(name, token, () => this.#write(name, fields));
  }

  async removeAsHolder(name: string, token: string, fields: readonly string[]): Promise<boolean> {
    return this.#asHolder(name, token, () => this.#remove(name, fields));
  }

  #asHolder(name: string, token: string, work: () => void): boolean {
    return this.#atomically(() => {
      if (this.#hash(name).holder !== token) return false;
      work();
      return true;
    });
  }

  #hash(name: string): Record<string, string> {
    const expiry = this.#database.prepare('SELECT at_ms FROM expiries WHERE name = ?').get(name);
    if (expiry !== undefined && Number(expiry.at_ms) <= this.#now()) this.#delete(name);
    const rows = this.#database.prepare('SELECT field, value FROM fields WHERE name = ?').all(name);
    return Object.fromEntries(rows.map(({ field, value }) => [String(field), String(value)]));
  }

  #counter(name: string): number {
    const row = this.#database.prepare('SELECT value FROM counters WHERE name = ?').get(name);
    return Number(row?.value ?? 0);
  }

  #write(name: string, fields: Readonly<Record<string, string>>): void {
    for (const [field, value] of Object.entries(fields))
      this.#run('INSERT OR REPLACE INTO fields VALUES (?, ?, ?)', name, field, value);
  }

  #remove(name: string, fields: readonly string[]): void {
    for (const field of fields) this.#run('DELETE FROM fields WHERE name = ? AND field = ?', name, field);
  }

  #delete(name: string): void {
    for (const table of ['fields', 'counters', 'expiries'])
      this.#run(`DELETE FROM ${table} WHERE name = ?`, name);
  }

  #run(sql: string, ...values: SQLInputValue[]): void {
    this.#database.prepare(sql).run(...values);
  }

  #atomically<T>(work: () => T): T {
    try {
      this.#database.exec('BEGIN IMMEDIATE');
      try {
        const result = work();
        this.#database.exec('COMMIT');
        return result;
      } catch (error) {
        if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
        throw error;
      }
    } catch (error) {
      throw fault('the key registry', error);
    }
  }
}

/** Makes the file if there is none; it is private from its first byte. */
async function makePrivate(file: string): Promise<void> {
  try {
    try {
      await using made = await open(file, 'wx', 0o600);
      await made.sync();
      await using folder = await open(dirname(file), 'r');
      await folder.sync();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    await using handle = await open(file, 'r+');
    const { mode } = await handle.stat();
    if ((mode & 0o077) !== 0)
      throw new RegistryError(
        'registry-refused',
        `${file}: found mode ${(mode & 0o777).toString(8).padStart(4, '0')}, expected 0600: it holds every root key; run chmod 600 on it, and rotate if others could have read it`,
      );
  } catch (error) {
    throw error instanceof RegistryError ? error : fault(file, error);
  }
}

/** There is no `cause`: what SQLite says may quote what it was given. */
function fault(file: string, error: unknown): RegistryError {
  const { code, errstr } = error as { code?: string; errstr?: string };
  return new RegistryError(
    'registry-unreachable',
    `${file}: found ${errstr ?? code ?? 'a fault'}, expected a registry made by countersign keys init`,
  );
}
