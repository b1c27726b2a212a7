import { DatabaseError, type DatabaseErrorCode } from '../errors.ts';

/** Codes of PostgreSQL by their class or as a whole, and what they mean for us. */
const meanings: readonly (readonly [RegExp, DatabaseErrorCode, string])[] = [
  [
    /^(53100|58P02|53400)$/,
    'database-full',
    'free space on the disk of the server; what was acknowledged is intact',
  ],
  [
    /^53/,
    'database-busy',
    'the server has no connection left: raise max_connections, or lower postgres.pool',
  ],
  [/^(57014)$/, 'deadline-passed', 'the statement took too long and was ended'],
  [/^(57P0\d|08|25006)/, 'database-unreachable', 'the server is stopping, starting, or not the primary'],
  [/^28|^3D000|^42501/, 'database-refused', 'let the user of postgres.url into the database and its schema'],
  [/^23/, 'constraint', 'nothing was changed'],
  [/^42(P01|703|883)/, 'schema-too-old', 'a migration did not run; /health says which and why'],
  [/^(40001|40P01|55P03)$/, 'database-busy', 'other writes were in the way several times: try again'],
];

/** Turns an error of PostgreSQL, or of the connection to it, into one that says what to do. */
export function describePostgresError(error: unknown): DatabaseError {
  if (error instanceof DatabaseError) return error;
  const { severity, code, message } = error as { severity?: string; code?: string; message: string };
  if (severity !== undefined && code !== undefined) {
    const [, meaning, advice] = meanings.find(([codes]) => codes.test(code)) ?? [];
    return new DatabaseError(
      meaning ?? 'database-failed',
      `PostgreSQL: ${message} (${code}); ${advice ?? 'nothing was changed by this call'}`,
      { cause: error },
    );
  }
  if (/timeout exceeded when trying to connect/.test(message)) {
    return new DatabaseError(
      'database-busy',
      'no connection to PostgreSQL was free in time: it is slow or out of reach, or postgres.pool is too small',
      { cause: error },
    );
  }
  return new DatabaseError(
    'database-unreachable',
    `PostgreSQL can't be reached (${message}); what was under way may or may not have happened`,
    { cause: error },
  );
}

/** True of a write that failed only because another one was in the way: it is run again. */
export function isConflict(error: unknown): boolean {
  const { code, constraint } = error as { code?: string; constraint?: string };
  return code === '40001' || code === '40P01' || (code === '23505' && constraint === 'turns_running');
}
