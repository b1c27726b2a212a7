import type { Kysely, RawBuilder, SqlBool } from 'kysely';
import type { SearchTerm } from '../terms/conversation.ts';
import type { Tables } from './tables.ts';

/** The few expressions that the engines write differently. */
export interface Syntax {
  /** Words in the form that messages_search stores. */
  indexed(words: readonly string[]): RawBuilder<string>;
  /** True of the rows of messages_search that have all of the terms. */
  matches(terms: readonly SearchTerm[]): RawBuilder<SqlBool>;
  /**
   * True; fails once the deadline of a slow read has passed. Part of the condition of a read that may look at many rows.
   *
   * @param column of the table with the many rows: the condition is looked at for each of them
   */
  withinDeadline(column: string): RawBuilder<SqlBool>;
}

/** What a query works with: the tables of one engine, inside a transaction when it writes. */
export interface Connection {
  readonly tables: Kysely<Tables>;
  readonly syntax: Syntax;
}
