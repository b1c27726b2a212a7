import { openDatabase } from '../../core/database/open-database.ts';
import { unowned } from '../../core/terms/owner.ts';
import { sqliteOptions } from './sqlite-options.ts';

/** A process that opens the database named by its argument, prints the schema or the error as JSON, and ends. */
try {
  const database = await openDatabase(sqliteOptions(process.argv[2]!));
  const { version, target, problem } = database.schema;
  const files = await database.call('files.list', { owner: unowned, words: [], limit: 1000 }).then(
    (rows) => rows.length,
    (error: { code: string }) => error.code,
  );
  await database.close();
  console.log(JSON.stringify({ version, target, problem: problem?.code, message: problem?.message, files }));
} catch (error) {
  const { code, message } = error as { code: string; message: string };
  console.log(JSON.stringify({ error: code, message }));
}
