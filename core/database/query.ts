import type { Connection } from './connection.ts';

/**
 * How a query runs.
 *
 * - `read`: beside writes; sees every write that was answered before.
 * - `slow-read`: the same, apart from the reads of turns and with a deadline.
 * - `write`: in a transaction: it happens as a whole or, when it throws, not at all; answered once it is durable. It may
 *   be run again after a conflict with another one, so it has no effect outside of the database.
 * - `brief-write`: a write that only matters while the machine runs: a loss of power may take it back.
 *
 * On PostgreSQL a transaction reads what others have committed. A write whose decision depends on a row therefore
 * changes, and so locks, that row first.
 */
export type QueryKind = 'read' | 'slow-read' | 'write' | 'brief-write';

/** A named piece of work on the database, the same for every engine. */
export interface Query<Args, Result> {
  readonly kind: QueryKind;
  readonly run: (connection: Connection, args: Args) => Promise<Result>;
}

type Run<Args, Result> = Query<Args, Result>['run'];

export function read<Args, Result>(run: Run<Args, Result>): Query<Args, Result> {
  return { kind: 'read', run };
}

export function slowRead<Args, Result>(run: Run<Args, Result>): Query<Args, Result> {
  return { kind: 'slow-read', run };
}

export function write<Args, Result>(run: Run<Args, Result>): Query<Args, Result> {
  return { kind: 'write', run };
}

export function briefWrite<Args, Result>(run: Run<Args, Result>): Query<Args, Result> {
  return { kind: 'brief-write', run };
}
