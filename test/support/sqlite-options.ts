import type { DatabaseOptions } from '../../core/database/open-database.ts';

/** An embedded database with generous time limits. */
export function sqliteOptions(file: string, busyTimeoutMs = 5000): DatabaseOptions {
  return { sqlite: { file, busyTimeoutMs, slowReadMs: 60_000 } };
}
