import { sql } from 'kysely';
import { read, slowRead, write } from '../query.ts';

/** Queries about contents that are kept in the database: on PostgreSQL, where core.yaml names no folder for them. */
export const chunkQueries = {
  'chunks.add': write(
    async ({ tables }, chunk: { place: string; number: number; data: Buffer }): Promise<void> => {
      await tables.insertInto('content_chunks').values(chunk).execute();
    },
  ),

  'chunks.sizeOf': read(async ({ tables }, { place }: { place: string }): Promise<number> => {
    const { bytes } = await tables
      .selectFrom('content_chunks')
      .select(sql<number>`coalesce(sum(octet_length(data)), 0)`.as('bytes'))
      .where('place', '=', place)
      .executeTakeFirstOrThrow();
    return Number(bytes);
  }),

  'chunks.read': read(
    async ({ tables }, { place, number }: { place: string; number: number }): Promise<Buffer | undefined> => {
      const row = await tables
        .selectFrom('content_chunks')
        .select('data')
        .where('place', '=', place)
        .where('number', '=', number)
        .executeTakeFirst();
      return row?.data;
    },
  ),

  'chunks.remove': write(async ({ tables }, { place }: { place: string }): Promise<void> => {
    await tables.deleteFrom('content_chunks').where('place', '=', place).execute();
  }),

  'chunks.oldPlaces': slowRead(
    async (
      { tables },
      { after, ageMs, limit }: { after: string; ageMs: number; limit: number },
    ): Promise<string[]> => {
      const rows = await tables
        .selectFrom('content_chunks')
        .select('place')
        .where('number', '=', 0)
        .where('place', '>', after)
        .where(sql<boolean>`added_at < now() - ${ageMs} * interval '1 millisecond'`)
        .orderBy('place')
        .limit(limit)
        .execute();
      return rows.map(({ place }) => place);
    },
  ),
} as const;
