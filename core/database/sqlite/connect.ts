import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import { Kysely, type SqliteDatabase, SqliteDialect, type SqliteStatement, sql } from 'kysely';
import type { Connection, Syntax } from '../connection.ts';
import { DatabaseError } from '../errors.ts';
import type { Tables } from '../tables.ts';

/** Until when a slow read may go on; milliseconds of `performance.now()`. */
export interface Deadline {
  at: number;
}

/**
 * The tables of an open file. Every statement blocks its thread, so this lives in worker threads only.
 *
 * @param deadline of the read that runs
 */
export function connect(database: DatabaseSync, deadline: Deadline): Connection {
  database.function('within_deadline', (_row) => {
    if (performance.now() <= deadline.at) return 1;
    throw new DatabaseError('deadline-passed', 'the read took longer than timeouts.slow_read and was ended');
  });
  const dialect = new SqliteDialect({ database: new PreparedStatements(database) });
  return { tables: new Kysely<Tables>({ dialect }), syntax };
}

/** node:sqlite as kysely's dialect wants it. Statements are prepared once and kept: their texts are constant but for lists. */
class PreparedStatements implements SqliteDatabase {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, SqliteStatement>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  prepare(text: string): SqliteStatement {
    let statement = this.#statements.get(text);
    if (statement !== undefined) return statement;
    const prepared = this.#database.prepare(text);
    const values = (parameters: readonly unknown[]) => parameters as SQLInputValue[];
    statement = {
      reader: prepared.columns().length > 0,
      all: (parameters) => prepared.all(...values(parameters)),
      run: (parameters) => prepared.run(...values(parameters)),
      iterate: (parameters) => prepared.iterate(...values(parameters)),
    };
    if (this.#statements.size >= statementLimit) this.#statements.clear();
    this.#statements.set(text, statement);
    return statement;
  }

  close(): void {
    this.#statements.clear();
    this.#database.close();
  }
}

const statementLimit = 500;

/** @see https://sqlite.org/fts5.html#full_text_query_syntax */
const syntax: Syntax = {
  indexed: (words) => sql<string>`${words.join(' ')}`,
  matches(terms) {
    // Words are letters and digits only: nothing in them is an operator.
    const expression = terms.map(({ words, prefix }) => `"${words.join(' ')}"${prefix ? '*' : ''}`).join(' ');
    return sql`messages_search MATCH ${expression}`;
  },
  withinDeadline: (column) => sql`within_deadline(${sql.ref(column)})`,
};
