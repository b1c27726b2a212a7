import { DatabaseError } from './errors.ts';
import type { TextAsset } from './text-assets.ts';

/** The schema version that this program's queries are written for. */
export const schemaVersion = 5;

export type EngineName = 'sqlite' | 'postgres';

/** The schema as it is after the start. */
export interface SchemaState {
  /** Of the database. */
  readonly version: number;
  /** The version this program wants. */
  readonly target: number;
  /** Why `version` is below `target`, in words for an operator. */
  readonly problem?: DatabaseError;
}

/** One step of the schema: takes a database from `version - 1` to `version`. */
export interface Migration {
  readonly version: number;
  /** Name of its script. */
  readonly name: string;
  /** The script, or why it could not be read. */
  readonly sql: string | { readonly unreadable: string };
}

/** Picks the scripts `NNNN_name.ENGINE.sql` out of a folder's files; others are ignored. */
export function toMigrations(files: readonly TextAsset[], engine: EngineName): Migration[] {
  return files.flatMap(({ name, text }) => {
    const [, digits, of] = /^(\d{4})_.+\.([a-z]+)\.sql$/.exec(name) ?? [];
    if (digits === undefined || Number(digits) === 0 || of !== engine) return [];
    return [
      {
        version: Number(digits),
        name,
        sql: typeof text === 'string' ? text : { unreadable: text.message },
      },
    ];
  });
}

/** What has to be run, and what keeps the database from its newest version. */
export interface Plan {
  /** In order, without gaps, from the version after the current one. */
  readonly steps: readonly { readonly version: number; readonly name: string; readonly sql: string }[];
  /** Version to be reached. */
  readonly target: number;
  readonly problem?: DatabaseError;
}

/**
 * Which scripts to run on a database of a version.
 *
 * @param place the file or the server, for messages
 * @throws {DatabaseError} database-newer
 */
export function planMigrations(current: number, migrations: readonly Migration[], place: string): Plan {
  const target = Math.max(schemaVersion, ...migrations.map((migration) => migration.version));
  if (current > target) {
    throw new DatabaseError(
      'database-newer',
      `${place}: found schema version ${current}, expected at most ${target}; it was made by a newer version of this program: run that one, or restore the backup taken before its migration`,
    );
  }
  const steps: Plan['steps'][number][] = [];
  for (let version = current + 1; version <= target; version++) {
    const [migration, second] = migrations.filter((candidate) => candidate.version === version);
    const stop = (code: 'migration-missing' | 'migration-broken', found: string): Plan => ({
      steps,
      target,
      problem: new DatabaseError(
        code,
        `${place}: stays at schema version ${version - 1} of ${target}: ${found}; put the scripts of this release back and restart`,
      ),
    });
    if (migration === undefined) {
      return stop(
        'migration-missing',
        `found no script core/database/${String(version).padStart(4, '0')}_*.sql`,
      );
    }
    if (second !== undefined) {
      return stop(
        'migration-broken',
        `found two scripts for one version, ${migration.name} and ${second.name}`,
      );
    }
    if (typeof migration.sql !== 'string') {
      return stop('migration-broken', `${migration.name} can't be read (${migration.sql.unreadable})`);
    }
    steps.push({ version, name: migration.name, sql: migration.sql });
  }
  return { steps, target };
}
