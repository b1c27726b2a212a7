import { access } from 'node:fs/promises';
import { ConfigError } from '../config/load.ts';
import { parsePostgresUrl } from './config/postgres-url.ts';
import { openDatabase, shippedMigrations } from './database/open-database.ts';
import { openPostgres } from './database/postgres/postgres-database.ts';
import { DatabaseStore } from './files/database-store.ts';
import { FolderStore } from './files/folder-store.ts';
import { type MovedCount, move } from './move/move.ts';
import { Source } from './move/source.ts';
import { toPostgresOptions } from './postgres-options.ts';
import { chunkStore } from './store/chunk-store.ts';

/** Options of `countersign-core migrate`. */
export interface MigrateOptions {
  /** `sqlite:PATH` */
  readonly from: string;
  /** `postgres://USER@HOST:PORT/DATABASE` */
  readonly to: string;
  readonly passwordFile?: string;
  readonly caFile?: string;
  /** Moves contents from this folder into the database. */
  readonly files?: string;
}

/** One statement of a move may take this long. */
const timeoutMs = 600_000;

/**
 * Moves a deployment; yields a line for each table once it is the same on both sides, and then one for each content that
 * could not be moved.
 *
 * @returns how many contents could not be moved
 * @throws {ConfigError | import('./database/errors.ts').DatabaseError}
 */
export async function* migrateDeployment(options: MigrateOptions): AsyncGenerator<string, number> {
  const file = /^sqlite:(.+)$/.exec(options.from)?.[1];
  if (file === undefined) throw wrong('--from', options.from, 'sqlite:PATH');
  await access(file).catch(() => {
    throw wrong('--from', options.from, 'a file that exists');
  });
  // Brings the source to the schema of this release, as a start does, with a backup beside it.
  const brought = await openDatabase({ sqlite: { file, busyTimeoutMs: 5000, slowReadMs: timeoutMs } });
  await brought.close();
  if (brought.schema.problem !== undefined) throw brought.schema.problem;
  const source = await Source.open(file);
  const target = await openPostgres(await targetOf(options), await shippedMigrations('postgres'));
  try {
    if (target.schema.problem !== undefined) throw target.schema.problem;
    const contents =
      options.files === undefined
        ? undefined
        : { from: await FolderStore.open(options.files), to: new DatabaseStore(chunkStore(target)) };
    const counts: MovedCount[] = [];
    const leftOut = await move(source, target.connection, contents, (count) => counts.push(count));
    for (const { table, rows, sha256 } of counts) yield `${table} ${rows} ${sha256}`;
    for (const { sha256, place, found } of leftOut) yield `${found} content ${sha256}: ${place}`;
    yield leftOut.length === 0
      ? 'the same on both sides: name it as postgres.url in core.yaml'
      : `${leftOut.length} contents were not moved: is ${options.files} the folder of this database? Restore them from a backup and run this again`;
    return leftOut.length;
  } finally {
    await target.close();
    source.close();
  }
}

async function targetOf({ to, passwordFile, caFile }: MigrateOptions) {
  const config = {
    url: parseUrl(to),
    pool: 2,
    ...(passwordFile === undefined ? {} : { password_file: passwordFile }),
    ...(caFile === undefined ? {} : { ca_file: caFile }),
  };
  return toPostgresOptions(config, { database: timeoutMs, slow_read: timeoutMs }, () => undefined);
}

function parseUrl(to: string) {
  try {
    return parsePostgresUrl(to);
  } catch (error) {
    throw wrong('--to', to.replace(/:[^:@/]*@/, ':…@'), (error as Error).message);
  }
}

function wrong(option: string, found: string, expected: string): ConfigError {
  return new ConfigError([{ file: option, line: 0, column: 0, path: '', found, expected }]);
}
