import { read } from '../query.ts';

/** Queries about conversation files. */
export const fileQueries = {
  'files.count': read(
    (db, _: Record<string, never>): number =>
      db.get<{ n: number }>('SELECT count(*) AS n FROM conversation_files')?.n ?? 0,
  ),
};
