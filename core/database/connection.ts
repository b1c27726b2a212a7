import { closeSync, openSync } from 'node:fs';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';

/** Values by the names of a statement's parameters, without their `:`. */
export type Parameters = Readonly<Record<string, SQLInputValue>>;

/**
 * One connection to SQLite. Lives in a worker thread only: every call blocks its thread. Statements are prepared once
 * and kept. SQL is always constant text; values are always parameters.
 */
export class Connection {
  readonly database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(database: DatabaseSync) {
    this.database = database;
    database.function('fold', { deterministic: true }, fold);
  }

  /** The first row, or undefined. */
  get<Row>(sql: string, parameters: Parameters = {}): Row | undefined {
    return this.#prepare(sql).get(parameters) as Row | undefined;
  }

  all<Row>(sql: string, parameters: Parameters = {}): Row[] {
    return this.#prepare(sql).all(parameters) as Row[];
  }

  /** Runs one statement; `changes` counts the rows it touched, triggers not included. */
  run(sql: string, parameters: Parameters = {}): { changes: number; lastInsertRowid: number } {
    const { changes, lastInsertRowid } = this.#prepare(sql).run(parameters);
    return { changes: Number(changes), lastInsertRowid: Number(lastInsertRowid) };
  }

  close(): void {
    this.#statements.clear();
    this.database.close();
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

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
  return database;
}

/** A second connection that only reads: in WAL mode it never waits for the writer, nor the writer for it. */
export function openForReading(file: string, busyTimeoutMs: number): DatabaseSync {
  return new DatabaseSync(file, { timeout: busyTimeoutMs, readOnly: true });
}

/** SQL function `fold`: text made comparable without case, in every script (LIKE folds ASCII only). */
function fold(text: SQLInputValue): string | null {
  return typeof text === 'string' ? text.normalize('NFKC').toLowerCase() : null;
}
