import type { Database } from './database.ts';
import { type EngineName, type Migration, toMigrations } from './migrations.ts';
import { openPostgres, type PostgresOptions } from './postgres/postgres-database.ts';
import { openSqlite, type SqliteOptions } from './sqlite/sqlite-database.ts';
import { textAssets } from './text-assets.ts';

/** One engine, or the other. */
export type DatabaseOptions = { readonly sqlite: SqliteOptions } | { readonly postgres: PostgresOptions };

/** The scripts that ship with this program. */
export async function shippedMigrations(engine: EngineName): Promise<Migration[]> {
  return toMigrations(await textAssets('core/database', '.sql'), engine);
}

/**
 * Opens the database and migrates it. A missing or broken script is not an error here: see `schema.problem`.
 *
 * @param migrations the scripts to bring the schema up to date; default those of this release
 * @throws {import('./errors.ts').DatabaseError} when the database can serve nothing
 */
export async function openDatabase(
  options: DatabaseOptions,
  migrations?: readonly Migration[],
): Promise<Database> {
  return 'sqlite' in options
    ? openSqlite(options.sqlite, migrations ?? (await shippedMigrations('sqlite')))
    : openPostgres(options.postgres, migrations ?? (await shippedMigrations('postgres')));
}
