import { DatabaseError } from '../errors.ts';
import { type Migration, type Plan, planMigrations, type SchemaState } from '../migrations.ts';
import type { PooledConnection } from './hosts.ts';

/** Names the lock under which one core service migrates: 'csgn'. */
const migrationLock = 0x6373676e;

/**
 * Brings the schema to the newest version it can reach, in one transaction, under an advisory lock that other core services
 * wait for. A script that is missing or does not run leaves the versions before it applied, and is reported.
 *
 * @param place names the database in messages
 * @throws {DatabaseError} `database-newer`, `database-refused`; or an error of PostgreSQL
 */
export async function migrate(
  connection: PooledConnection,
  migrations: readonly Migration[],
  place: string,
): Promise<SchemaState> {
  await checkServer(connection, place);
  await connection.query('SET statement_timeout = 0; SET lock_timeout = 0');
  await connection.query('BEGIN');
  try {
    await connection.query(`SELECT pg_advisory_xact_lock(${migrationLock})`);
    await connection.query('CREATE TABLE IF NOT EXISTS schema_version (version integer NOT NULL)');
    const { rows } = await connection.query('SELECT version FROM schema_version');
    const before = (rows as { version: number }[])[0]?.version ?? 0;
    const plan = planMigrations(before, migrations, place);
    const { version, problem } = await applySteps(connection, plan, before);
    await connection.query('DELETE FROM schema_version');
    await connection.query('INSERT INTO schema_version (version) VALUES ($1)', [version]);
    await connection.query('COMMIT');
    const found = problem ?? plan.problem;
    return { version, target: plan.target, ...(found && { problem: found }) };
  } catch (error) {
    await connection.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

async function applySteps(
  connection: PooledConnection,
  plan: Plan,
  before: number,
): Promise<{ version: number; problem?: DatabaseError }> {
  let version = before;
  for (const step of plan.steps) {
    await connection.query('SAVEPOINT step');
    try {
      await connection.query(step.sql);
      await connection.query('RELEASE SAVEPOINT step');
      version = step.version;
    } catch (cause) {
      if (
        (cause as { severity?: string }).severity !== 'ERROR' ||
        /^5[378]/.test((cause as { code: string }).code)
      )
        throw cause;
      await connection.query('ROLLBACK TO SAVEPOINT step');
      const problem = new DatabaseError(
        'migration-broken',
        `stays at schema version ${version} of ${plan.target}: ${step.name} does not run here (${(cause as Error).message}), and was undone as a whole; put the script of this release back and restart`,
        { cause },
      );
      return { version, problem };
    }
  }
  return { version };
}

async function checkServer(connection: PooledConnection, place: string): Promise<void> {
  const { rows } = await connection.query(
    `SELECT current_setting('server_encoding') AS encoding, current_setting('server_version_num')::int AS version`,
  );
  const { encoding, version } = (rows as { encoding: string; version: number }[])[0]!;
  if (encoding !== 'UTF8') {
    throw new DatabaseError(
      'database-refused',
      `${place}: found the encoding ${encoding}, expected UTF8: make the database with ENCODING 'UTF8' TEMPLATE template0`,
    );
  }
  if (version < 150_000) {
    throw new DatabaseError(
      'database-refused',
      `${place}: found PostgreSQL ${Math.floor(version / 10_000)}, expected 15 or later`,
    );
  }
}
