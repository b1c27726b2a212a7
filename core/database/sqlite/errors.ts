import { DatabaseError, type DatabaseErrorCode } from '../errors.ts';

interface SqliteError {
  readonly code: 'ERR_SQLITE_ERROR';
  /** Extended result code; the low byte is the primary one (https://sqlite.org/rescode.html). */
  readonly errcode: number;
  readonly message: string;
}

export function isSqliteError(error: unknown): error is SqliteError {
  return (error as SqliteError | undefined)?.code === 'ERR_SQLITE_ERROR';
}

const readOnly = 8;
const ioError = 10;
const cantOpen = 14;

/** Turns an error of SQLite into one that says what to do; other errors pass through unchanged. */
export function describeSqliteError(error: unknown, file: string): unknown {
  if (!isSqliteError(error)) return error;
  const made = (code: DatabaseErrorCode, advice: string) =>
    new DatabaseError(code, `${file}: ${error.message}; ${advice}`, { cause: error });
  switch (error.errcode & 0xff) {
    case 5: // SQLITE_BUSY
    case 6: // SQLITE_LOCKED
      return made('database-busy', 'another process holds the database locked: stop it, or try again');
    case readOnly:
    case 3: // SQLITE_PERM
    case 23: // SQLITE_AUTH
    case cantOpen:
      return made(
        'database-unwritable',
        'make the file and its directory writable for the user this runs as',
      );
    case 13: // SQLITE_FULL
      return made('database-full', 'free space on its disk; what was acknowledged so far is intact');
    case 11: // SQLITE_CORRUPT
    case 26: // SQLITE_NOTADB
      return made(
        'database-corrupt',
        'the file was not changed: move it away and restore a backup (FILE.v*.backup), or save its rows with `sqlite3 FILE .recover`',
      );
    case 19: // SQLITE_CONSTRAINT
      return made('constraint', 'nothing was changed');
    case ioError:
      return made(
        'database-failed',
        'the disk reported an I/O error: check it (free space, quota, kernel log)',
      );
    default:
      return made('database-failed', 'nothing was changed by this call');
  }
}
