import { closeSync, openSync } from 'node:fs';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { wordsOf } from '../../terms/words.ts';

/**
 * Opens the file for writing, making it (mode 0600) when it does not exist. Changes nothing in it.
 *
 * @param busyTimeoutMs how long a statement waits for another process's lock
 */
export function openForWriting(file: string, busyTimeoutMs: number): DatabaseSync {
  try {
    closeSync(openSync(file, 'ax', 0o600));
  } catch {
    // It exists, or SQLite says better why it can't be made.
  }
  const database = new DatabaseSync(file, { timeout: busyTimeoutMs, enableForeignKeyConstraints: true });
  database.exec('PRAGMA synchronous = FULL');
  addFunctions(database);
  return database;
}

/** A second connection that only reads: in WAL mode it never waits for the writer, nor the writer for it. */
export function openForReading(file: string, busyTimeoutMs: number): DatabaseSync {
  const database = new DatabaseSync(file, { timeout: busyTimeoutMs, readOnly: true });
  addFunctions(database);
  return database;
}

/** The SQL functions that queries and migrations use. */
export function addFunctions(database: DatabaseSync): void {
  database.function('fold', { deterministic: true }, fold);
  database.function('search_words', { deterministic: true }, (text) =>
    typeof text === 'string' ? wordsOf(text).join(' ') : '',
  );
}

/** Text made comparable without case, in every script (LIKE folds ASCII only). */
function fold(text: SQLInputValue): string | null {
  return typeof text === 'string' ? text.normalize('NFKC').toLowerCase() : null;
}
