import type { Database } from '../database/database.ts';
import type { CoreBeat } from '../database/queries/cores.ts';

export type { CoreBeat };

/** Where core services that share a database know of each other. */
export interface MemberStore {
  register(coreId: string, process: string): Promise<void>;
  /** False when it was taken for dead. */
  beat(coreId: string): Promise<boolean>;
  list(): Promise<CoreBeat[]>;
  /** Strikes one off whose count still stands at `beat`. */
  bury(core: CoreBeat): Promise<boolean>;
  leave(coreId: string): Promise<void>;
}

export function memberStore(database: Database): MemberStore {
  return {
    register: (coreId, process) =>
      database.call('cores.register', { coreId, process, now: new Date().toISOString() }),
    beat: (coreId) => database.call('cores.beat', { coreId }),
    list: () => database.call('cores.list', {}),
    bury: ({ coreId, beat }) => database.call('cores.bury', { coreId, beat }),
    leave: (coreId) => database.call('cores.leave', { coreId }),
  };
}
