import type { EngineName, SchemaState } from './migrations.ts';
import type { QueryArgs, QueryName, QueryResult } from './queries/index.ts';

/** The conversation database, whichever engine keeps it. */
export interface Database {
  readonly engine: EngineName;
  /**
   * Runs a query. A write is answered once its transaction is durable; writes of one core service to SQLite happen in the order
   * of their calls. A read sees every write answered before it was called.
   *
   * @throws {import('./errors.ts').DatabaseError}
   */
  call<Name extends QueryName>(name: Name, args: QueryArgs<Name>): Promise<QueryResult<Name>>;
  /** The schema that was found or made at the start; `problem` belongs into /health. */
  readonly schema: SchemaState;
  /** Answers what was called before, and closes. */
  close(): Promise<void>;
}
