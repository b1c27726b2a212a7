import type { Connection } from '../connection.ts';
import { briefWrite, read } from '../query.ts';

/** A core service as the others see it. */
export interface CoreBeat {
  readonly coreId: string;
  /** Names its process as long as that lives; see core/turns/process-identity.ts. */
  readonly process: string;
  /** Counts up while it lives. */
  readonly beat: number;
}

/** Queries by which core services know of each other. */
export const coreQueries = {
  'cores.register': briefWrite(
    async ({ tables }, core: { coreId: string; process: string; now: string }): Promise<void> => {
      await tables
        .insertInto('cores')
        .values({ core_id: core.coreId, process: core.process, beat: 1, started_at: core.now })
        .execute();
    },
  ),

  /** False when it has been buried: its turns are others' now. */
  'cores.beat': briefWrite(async ({ tables }, { coreId }: { coreId: string }): Promise<boolean> => {
    const { numUpdatedRows } = await tables
      .updateTable('cores')
      .set((column) => ({ beat: column('beat', '+', 1) }))
      .where('core_id', '=', coreId)
      .executeTakeFirstOrThrow();
    return numUpdatedRows === 1n;
  }),

  'cores.list': read(
    ({ tables }: Connection, _: object): Promise<CoreBeat[]> =>
      tables.selectFrom('cores').select(['core_id as coreId', 'process', 'beat']).execute(),
  ),

  /** Strikes one off, unless it has beaten since. Its turns are orphans from then on. */
  'cores.bury': briefWrite(
    async ({ tables }, { coreId, beat }: { coreId: string; beat: number }): Promise<boolean> => {
      const { numDeletedRows } = await tables
        .deleteFrom('cores')
        .where('core_id', '=', coreId)
        .where('beat', '=', beat)
        .executeTakeFirstOrThrow();
      return numDeletedRows === 1n;
    },
  ),

  /** Strikes oneself off at a clean end. */
  'cores.leave': briefWrite(async ({ tables }, { coreId }: { coreId: string }): Promise<void> => {
    await tables.deleteFrom('cores').where('core_id', '=', coreId).execute();
  }),
} as const;
