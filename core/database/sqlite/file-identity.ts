import { statSync } from 'node:fs';
import { DatabaseError } from '../errors.ts';

/**
 * Notices that the database file, or its write-ahead log, is no longer the one that was opened: deleted, moved or
 * replaced. SQLite would go on with the old one, and lose everything at the end of the process. Blocks its thread.
 */
export class FileIdentity {
  readonly #file: string;
  readonly #opened: string | undefined;
  #log: string | undefined;

  /** @param file opened by SQLite already */
  constructor(file: string) {
    this.#file = file;
    this.#opened = identityOf(file);
    this.#log = undefined;
  }

  /**
   * Called inside a transaction, before its commit.
   *
   * @throws {DatabaseError} `database-lost`
   */
  check(): void {
    if (identityOf(this.#file) !== this.#opened) throw this.#lost(this.#file);
    const wal = `${this.#file}-wal`;
    const log = identityOf(wal);
    // The first write makes it; from then on it stays for as long as the database is open.
    if (this.#log !== undefined && log !== this.#log) throw this.#lost(wal);
    this.#log = log;
  }

  #lost(path: string): DatabaseError {
    return new DatabaseError(
      'database-lost',
      `${path}: was deleted, moved or replaced while in use; nothing is written any more: put it back, or restore a backup and restart`,
    );
  }
}

function identityOf(path: string): string | undefined {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? undefined : `${stat.dev}:${stat.ino}`;
}
