import { join } from 'node:path';
import type { Test } from 'tap';
import type { DatabaseOptions } from '../../core/database/open-database.ts';
import { PostgresServer } from './postgres-server.ts';
import { sqliteOptions } from './sqlite-options.ts';
import { tempFolder } from './temp-folder.ts';

/** Makes an empty database of one engine. */
export interface Engine {
  readonly name: 'sqlite' | 'postgres';
  readonly create: (t: Test) => Promise<DatabaseOptions>;
}

/** Both engines; the server of the second runs until the test ends. */
export async function engines(t: Test): Promise<Engine[]> {
  const server = await PostgresServer.start(t);
  let databases = 0;
  return [
    { name: 'sqlite', create: async (test) => sqliteOptions(join(await tempFolder(test), 'core.db')) },
    {
      name: 'postgres',
      async create() {
        const name = `test_${++databases}`;
        await server.createDatabase(name);
        return server.options(name);
      },
    },
  ];
}
