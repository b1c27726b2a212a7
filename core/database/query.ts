import type { Connection } from './connection.ts';

/**
 * A named piece of work on the database. A read runs on the read-only connection; a write runs on the one
 * writing connection inside a transaction: it happens as a whole or, when it throws, not at all.
 */
export interface Query<Args, Result> {
  readonly kind: 'read' | 'write';
  readonly run: (connection: Connection, args: Args) => Result;
}

export function read<Args, Result>(run: (connection: Connection, args: Args) => Result): Query<Args, Result> {
  return { kind: 'read', run };
}

export function write<Args, Result>(
  run: (connection: Connection, args: Args) => Result,
): Query<Args, Result> {
  return { kind: 'write', run };
}
