import { Kysely, PostgresDialect, type PostgresPool } from 'kysely';
import type { Connection } from '../connection.ts';
import type { Database } from '../database.ts';
import type { Migration } from '../migrations.ts';
import { queries } from '../queries/index.ts';
import type { Query, QueryKind } from '../query.ts';
import type { Tables } from '../tables.ts';
import { describePostgresError, isConflict } from './errors.ts';
import { type PostgresServers, PrimaryPool } from './hosts.ts';
import { migrate } from './migrate.ts';
import { syntax } from './syntax.ts';

export interface PostgresOptions {
  readonly servers: PostgresServers;
  /** Most connections for turns; slow reads have two of their own. */
  readonly pool: number;
  /** What a call may take. */
  readonly timeoutMs: number;
  /** What a slow read may take. */
  readonly slowReadMs: number;
  readonly onError: (error: Error) => void;
}

/** The tables themselves, for what is not a query of a core service. */
export type PostgresConnection = Connection;

/** So few slow reads run at a time, in this core service. */
const slowConnections = 2;
/** A write that is in conflict with another one runs again at most so often. */
const attempts = 10;

/**
 * Opens a database on a PostgreSQL server and migrates it.
 *
 * @throws {DatabaseError} when the server can't be reached, does not let us in, or is not fit
 */
export async function openPostgres(
  options: PostgresOptions,
  migrations: readonly Migration[],
): Promise<Database & { readonly connection: PostgresConnection }> {
  const { servers, pool, timeoutMs, slowReadMs, onError } = options;
  const place = `${servers.hosts.map(({ host, port }) => `${host}:${port}`).join(',')}/${servers.database}`;
  const turns = new PrimaryPool(servers, pool, timeoutMs, onError);
  const slow = new PrimaryPool(servers, slowConnections, slowReadMs, onError);
  const end = async () => {
    await Promise.all([turns.end(), slow.end()]);
  };
  try {
    const connection = await turns.connect();
    try {
      const schema = await migrate(connection, migrations, place);
      const fast = connectTo(turns);
      const apart = connectTo(slow);
      return {
        engine: 'postgres',
        connection: fast,
        schema,
        call: async (name, args) => {
          const query = queries[name] as unknown as Query<unknown, never>;
          const runner = runners[query.kind];
          return runner(query.kind === 'slow-read' ? apart : fast, query, args);
        },
        close: end,
      };
    } finally {
      // It has no time limits any more.
      connection.discard();
    }
  } catch (error) {
    await end();
    throw describePostgresError(error);
  }
}

function connectTo(pool: PrimaryPool): Connection {
  const dialect = new PostgresDialect({ pool: pool as unknown as PostgresPool });
  return { tables: new Kysely<Tables>({ dialect }), syntax };
}

type Runner = (connection: Connection, query: Query<unknown, never>, args: unknown) => Promise<never>;

const runners: Readonly<Record<QueryKind, Runner>> = {
  read: runRead,
  'slow-read': runRead,
  write: runWrite,
  'brief-write': runWrite,
};

async function runRead(connection: Connection, query: Query<unknown, never>, args: unknown): Promise<never> {
  try {
    return await query.run(connection, args);
  } catch (error) {
    throw describePostgresError(error);
  }
}

async function runWrite(
  { tables, syntax: expressions }: Connection,
  query: Query<unknown, never>,
  args: unknown,
): Promise<never> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await tables
        .transaction()
        .execute((transaction) => query.run({ tables: transaction, syntax: expressions }, args));
    } catch (error) {
      if (!(attempt < attempts && isConflict(error))) throw describePostgresError(error);
    }
  }
}
