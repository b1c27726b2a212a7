import { closeSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { DatabaseError } from '../errors.ts';
import { type Migration, type Plan, planMigrations, type SchemaState } from '../migrations.ts';
import { describeSqliteError, isSqliteError } from './errors.ts';
import { openForReading } from './open-file.ts';
import { rehearse } from './scratch.ts';

/** How long to wait for another process that is migrating the same file. */
const migrationLockMs = 60_000;

/**
 * Brings the file to the newest schema version it can reach, in one transaction that other processes wait for. A file
 * that already has tables is backed up beside itself (`FILE.v<version>.backup`) first. A script that is missing or does not run
 * leaves the versions before it applied, and is reported in the result.
 *
 * @param database opened for writing
 * @throws {DatabaseError} when the file can serve nothing: newer, corrupt, unwritable, or full before its first version
 */
export function migrate(database: DatabaseSync, file: string, migrations: readonly Migration[]): SchemaState {
  try {
    database.exec(`PRAGMA busy_timeout = ${migrationLockMs}`);
    // A script may rebuild a table that others refer to; the references are checked before the commit instead.
    database.exec('PRAGMA foreign_keys = OFF');
    database.exec('BEGIN IMMEDIATE');
    const state = upgrade(database, file, migrations);
    database.exec('PRAGMA foreign_keys = ON');
    // A file that could not be brought any further stays as it is, to the byte; its rollback journal is as durable, only slower.
    if (state.problem === undefined || state.changed) switchToWal(database, file);
    const { version, target, problem } = state;
    return { version, target, ...(problem && { problem }) };
  } catch (error) {
    throw describeSqliteError(error, file);
  } finally {
    if (database.isTransaction) database.exec('ROLLBACK');
  }
}

function upgrade(
  database: DatabaseSync,
  file: string,
  migrations: readonly Migration[],
): SchemaState & { readonly changed: boolean } {
  const before = userVersion(database);
  const plan = planMigrations(before, migrations, file);
  const { runnable, error } = rehearse(database, plan.steps);
  const problem =
    error === undefined ? plan.problem : broken(file, plan, plan.steps[runnable]!, before + runnable, error);
  if (runnable === 0) {
    database.exec('ROLLBACK');
    return { version: before, target: plan.target, changed: false, ...(problem && { problem }) };
  }
  const fresh = isEmpty(database);
  try {
    if (!fresh) {
      checkIntegrity(database, file);
      backUp(file, before);
    }
    const failed = applySteps(database, file, plan, plan.steps.slice(0, runnable));
    database.exec('COMMIT');
    const found = failed ?? problem;
    const version = userVersion(database);
    return { version, target: plan.target, changed: version > before, ...(found && { problem: found }) };
  } catch (cause) {
    if (database.isTransaction) database.exec('ROLLBACK');
    const described = describeSqliteError(cause, file);
    if (fresh || !(described instanceof DatabaseError) || described.code === 'database-corrupt')
      throw described;
    const kept = new DatabaseError(
      described.code,
      `stays at schema version ${before} of ${plan.target}, nothing was changed: ${described.message}; then restart`,
      { cause },
    );
    return { version: before, target: plan.target, changed: false, problem: kept };
  }
}

/** Runs the steps inside the open transaction; one that fails is undone and returned as the problem. */
function applySteps(
  database: DatabaseSync,
  file: string,
  plan: Plan,
  steps: Plan['steps'],
): DatabaseError | undefined {
  const violations = () => database.prepare('PRAGMA foreign_key_check').all().length;
  // AutoBot did not always enforce its references: what was dangling before is not this migration's fault.
  const dangling = violations();
  for (const step of steps) {
    database.exec('SAVEPOINT step');
    try {
      database.exec(step.sql);
      if (violations() > dangling) throw new Error('it leaves rows that refer to rows that do not exist');
      database.exec(`PRAGMA user_version = ${step.version}`);
      database.exec('RELEASE step');
    } catch (error) {
      // Out of space or an I/O error: SQLite has rolled everything back, and the scripts are not to blame.
      if (!database.isTransaction || isDiskError(error)) throw error;
      database.exec('ROLLBACK TO step');
      database.exec('RELEASE step');
      return broken(file, plan, step, step.version - 1, error as Error);
    }
  }
  return undefined;
}

function broken(
  file: string,
  plan: Plan,
  step: Plan['steps'][number],
  staysAt: number,
  error: Error,
): DatabaseError {
  return new DatabaseError(
    'migration-broken',
    `${file}: stays at schema version ${staysAt} of ${plan.target}: ${step.name} does not run here (${error.message}), and was undone as a whole; put the script of this release back and restart`,
    { cause: error },
  );
}

function isDiskError(error: unknown): boolean {
  return isSqliteError(error) && [8, 10, 11, 13, 14].includes(error.errcode & 0xff);
}

function userVersion(database: DatabaseSync): number {
  return (database.prepare('PRAGMA user_version').get() as { user_version: number }).user_version;
}

function isEmpty(database: DatabaseSync): boolean {
  return database.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() === undefined;
}

function checkIntegrity(database: DatabaseSync, file: string): void {
  const { quick_check: found } = database.prepare('PRAGMA quick_check(1)').get() as { quick_check: string };
  if (found === 'ok') return;
  throw new DatabaseError(
    'database-corrupt',
    `${file}: found damage (${found}), expected an intact database; it was not changed: move it away and restore a backup, or save its rows with \`sqlite3 FILE .recover\``,
  );
}

/** A complete copy beside the file, durable before anything changes. Runs while the caller holds the write lock. */
function backUp(file: string, version: number): void {
  const backup = `${file}.v${version}.backup`;
  const partial = `${backup}.partial`;
  rmSync(partial, { force: true });
  try {
    closeSync(openSync(partial, 'wx', 0o600));
    const reader = openForReading(file, migrationLockMs);
    try {
      reader.prepare('VACUUM INTO :target').run({ target: partial });
    } finally {
      reader.close();
    }
    syncPath(partial);
    renameSync(partial, backup);
    syncPath(dirname(backup));
  } catch (error) {
    rmSync(partial, { force: true });
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') {
      throw new DatabaseError('database-full', `${backup}: no space for the backup; free space on its disk`, {
        cause: error,
      });
    }
    throw describeSqliteError(error, backup);
  }
}

function syncPath(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Write-ahead logging stays set in the file. The switch needs the file alone for a moment, and SQLite does not wait for
 * that by itself, so it is tried until other starting processes are through.
 */
function switchToWal(database: DatabaseSync, file: string): void {
  const deadline = performance.now() + migrationLockMs;
  const sleeper = new Int32Array(new SharedArrayBuffer(4));
  for (;;) {
    try {
      database.exec('PRAGMA journal_mode = WAL');
      return;
    } catch (error) {
      const described = describeSqliteError(error, file);
      if (!(described instanceof DatabaseError && described.code === 'database-busy')) throw described;
      if (performance.now() > deadline) throw described;
      Atomics.wait(sleeper, 0, 0, 5 + Math.random() * 20);
    }
  }
}
