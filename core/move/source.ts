import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import { DatabaseError } from '../database/errors.ts';
import { openForReading } from '../database/sqlite/open-file.ts';
import { hasEnded } from '../membership/process-identity.ts';
import type { MovedTable } from './moved-tables.ts';

export type Row = Readonly<Record<string, unknown>>;

/** The SQLite file that is moved. Blocks the thread: only the command uses it. */
export class Source {
  readonly #database: DatabaseSync;

  /** @throws {DatabaseError} `database-busy` when a core service uses the file */
  static async open(file: string): Promise<Source> {
    const source = new Source(openForReading(file, 5000));
    const cores = source.#database.prepare('SELECT process FROM cores').all() as { process: string }[];
    for (const { process } of cores) {
      if (await hasEnded(process)) continue;
      source.close();
      throw new DatabaseError('database-busy', `${file}: a core service uses it: stop it, then move it`);
    }
    return source;
  }

  private constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** Up to `limit` rows after one, in the order of the key. */
  page({ name, key }: MovedTable, after: readonly unknown[] | undefined, limit: number): Row[] {
    const columns = key.join(', ');
    const condition = after === undefined ? '' : `WHERE (${columns}) > (${key.map(() => '?').join(', ')})`;
    const rows = this.#database
      .prepare(`SELECT * FROM ${name} ${condition} ORDER BY ${columns} LIMIT ${limit}`)
      .all(...((after ?? []) as SQLInputValue[]));
    return rows.map(withoutNul);
  }

  close(): void {
    this.#database.close();
  }
}

/** PostgreSQL keeps no NUL in texts. */
function withoutNul(row: Row): Row {
  return Object.fromEntries(
    Object.entries(row).map(([column, value]) => [
      column,
      typeof value === 'string' ? value.replaceAll('\0', '\uFFFD') : value,
    ]),
  );
}
