import type { Database } from '../database.ts';
import { type DatabaseError, fromErrorMessage } from '../errors.ts';
import type { Migration } from '../migrations.ts';
import { queries } from '../queries/index.ts';
import type { QueryKind } from '../query.ts';
import { Thread } from './thread.ts';

export interface SqliteOptions {
  /** Path of the file; made when it does not exist, its directory not. */
  readonly file: string;
  /** How long a call waits for another process's lock. */
  readonly busyTimeoutMs: number;
  /** How long a slow read may take. */
  readonly slowReadMs: number;
}

/**
 * Opens a file and migrates it. SQLite blocks, so it lives in three threads: one writes, one reads for turns, one reads
 * what can be slow. In WAL mode none of them waits for another.
 *
 * @throws {DatabaseError} when the file can serve nothing
 */
export async function openSqlite(
  options: SqliteOptions,
  migrations: readonly Migration[],
): Promise<Database> {
  const data = { ...options, migrations };
  const writer = new Thread({ ...data, role: 'writer' });
  const { version, target, problem } = await writer.ready();
  const reader = new Thread({ ...data, role: 'reader' });
  const slowReader = new Thread({ ...data, role: 'slow reader' });
  try {
    // The slow reader starts with its first call.
    await reader.ready();
  } catch (error) {
    await writer.close();
    throw error;
  }
  const threads: Readonly<Record<QueryKind, Thread>> = {
    read: reader,
    'slow-read': slowReader,
    write: writer,
    'brief-write': writer,
  };
  return {
    engine: 'sqlite',
    schema: { version, target, ...(problem && { problem: fromErrorMessage(problem) as DatabaseError }) },
    call: (name, args) => threads[queries[name].kind].call(name, args),
    async close() {
      // The writer last: the last to close the file folds the write-ahead log into it.
      await Promise.all([reader.close(), slowReader.close()]);
      await writer.close();
    },
  };
}
