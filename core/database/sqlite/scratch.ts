import { constants, DatabaseSync } from 'node:sqlite';
import type { Plan } from '../migrations.ts';
import { addFunctions } from './open-file.ts';

interface SchemaRow {
  readonly name: string;
  readonly sql: string;
}

/**
 * How many of the steps run, one after the other, on an in-memory database with the schema of the real one, and why
 * the next does not. Catches what does not parse, names what does not exist, or would end the transaction
 * it runs in, before the real file is touched.
 */
export function rehearse(real: DatabaseSync, steps: Plan['steps']): { runnable: number; error?: Error } {
  const scratch = new DatabaseSync(':memory:');
  try {
    addFunctions(scratch);
    for (const { sql } of schemaOf(real)) scratch.exec(sql);
    scratch.setAuthorizer((action) =>
      action === constants.SQLITE_TRANSACTION ||
      action === constants.SQLITE_SAVEPOINT ||
      action === constants.SQLITE_ATTACH ||
      action === constants.SQLITE_DETACH
        ? constants.SQLITE_DENY
        : constants.SQLITE_OK,
    );
    for (const [index, { sql }] of steps.entries()) {
      try {
        scratch.exec(sql);
      } catch (error) {
        return { runnable: index, error: error as Error };
      }
    }
    return { runnable: steps.length };
  } finally {
    scratch.close();
  }
}

/** The statements that make a schema, in an order that works. Shadow tables come with their virtual table. */
function schemaOf(database: DatabaseSync): SchemaRow[] {
  return database
    .prepare(
      `SELECT name, sql FROM sqlite_schema
       WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
         AND name NOT IN (SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow')
       ORDER BY CASE type WHEN 'table' THEN 0 WHEN 'index' THEN 1 WHEN 'view' THEN 2 ELSE 3 END, rowid`,
    )
    .all() as unknown as SchemaRow[];
}
