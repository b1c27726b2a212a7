import { chmodSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { StateError } from './state-error.ts';

const busy = 5;
const pollMs = 2;

/**
 * The right to verify with a state directory: one process has it at a time, and it ends with the process, however
 * that ends.
 *
 * Node offers no lock on files, SQLite does: an exclusive transaction held open is a lock of the kernel's (fcntl)
 * that dies with its holder. Nothing is ever stored in the file, and nothing else may open it: closing any other
 * descriptor of it would give the lock away.
 */
export class StateLock {
  readonly #database: DatabaseSync;

  private constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /**
   * Waits until the lock is free, without blocking the event loop.
   *
   * @throws {StateError} when the file can't be used
   */
  static async acquire(file: string, signal?: AbortSignal): Promise<StateLock> {
    let database: DatabaseSync;
    try {
      database = new DatabaseSync(file, { timeout: 0 });
      chmodSync(file, 0o600);
    } catch (error) {
      throw new StateError(`${file} can't be opened; expected a writable state directory`, { cause: error });
    }
    try {
      for (;;) {
        if (take(database, file)) return new StateLock(database);
        await delay(pollMs, undefined, { ...(signal === undefined ? undefined : { signal }) });
      }
    } catch (error) {
      database.close();
      throw error;
    }
  }

  release(): void {
    this.#database.close();
  }
}

function take(database: DatabaseSync, file: string): boolean {
  try {
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    return true;
  } catch (error) {
    if ((error as { errcode?: number }).errcode === busy) return false;
    throw new StateError(`${file} can't be locked; delete it if it is damaged`, { cause: error });
  }
}
