/** What can be wrong with the database; stable, to switch on. */
export type DatabaseErrorCode =
  | 'database-unwritable' // read-only file or directory, or it can't be made there
  | 'database-full' // no space left, or a quota or size limit
  | 'database-corrupt' // not an SQLite file, or a damaged one
  | 'database-newer' // made by a newer version of this program
  | 'database-busy' // locked by someone else, or all connections in use, for too long
  | 'database-unreachable' // the server is down, hangs, or is not the primary
  | 'database-refused' // the server does not let us in, or is not fit
  | 'deadline-passed' // a slow read took too long
  | 'move-differs' // after a move to another database something is not the same
  | 'turn-lost' // another core service has taken the turn's session over
  | 'database-lost' // its file was deleted, moved or replaced while in use
  | 'database-closed' // called after close
  | 'database-failed' // anything else, I/O errors among it
  | 'migration-missing' // a version has no script
  | 'migration-broken' // a script does not run
  | 'schema-too-old' // this query needs what a pending migration would bring
  | 'constraint'; // the rows would contradict a rule of the schema

/** A failure of the database. The message says what was found and what to do. */
export class DatabaseError extends Error {
  readonly code: DatabaseErrorCode;
  constructor(code: DatabaseErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'DatabaseError';
    this.code = code;
  }
}

/** An error in the form that crosses from the worker thread. */
export interface ErrorMessage {
  readonly code: string;
  readonly message: string;
  readonly typed: boolean;
}

export function toErrorMessage(error: unknown): ErrorMessage {
  if (error instanceof DatabaseError) return { code: error.code, message: error.message, typed: true };
  const { code = 'database-failed', message = String(error) } = error as { code?: string; message?: string };
  return { code, message, typed: false };
}

export function fromErrorMessage({ code, message, typed }: ErrorMessage): Error {
  if (typed) return new DatabaseError(code as DatabaseErrorCode, message);
  return Object.assign(new Error(message), { code });
}
