import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, copyFile, mkdir, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { type Migration, schemaVersion } from '../../../../core/database/migrations.ts';
import { openDatabase, shippedMigrations } from '../../../../core/database/open-database.ts';
import { unowned } from '../../../../core/terms/owner.ts';
import { autobotRows, autobotTables, makeAutobotDatabase } from '../../../support/autobot-database.ts';
import { sqliteOptions } from '../../../support/sqlite-options.ts';
import { tempFolder } from '../../../support/temp-folder.ts';

const run = promisify(execFile);
const opener = new URL('../../../support/open-database.ts', import.meta.url).pathname;
const shipped = await shippedMigrations('sqlite');
const extra = (sql: string, version = schemaVersion + 1): Migration => ({
  version,
  name: `${String(version).padStart(4, '0')}_extra.sqlite.sql`,
  sql,
});

const namespaces = await run('unshare', ['--mount', '--map-root-user', 'true']).then(
  () => true,
  () => false,
);
const skip = namespaces ? false : 'this system allows no mount namespaces';

interface Opened {
  readonly version?: number;
  readonly problem?: string;
  readonly files?: number | string;
  readonly error?: string;
  readonly message?: string;
}

/** Opens a file in a process of its own; root, who may write anywhere, without that right. */
async function openUnprivileged(file: string): Promise<Opened> {
  const words = [process.execPath, opener, file];
  if (process.getuid?.() === 0)
    words.unshift('setpriv', '--bounding-set=-dac_override,-dac_read_search,-fowner');
  const [program, ...rest] = words as [string, ...string[]];
  return JSON.parse((await run(program, rest)).stdout);
}

async function emptyFile(t: Test, name = 'core.db'): Promise<string> {
  return join(await tempFolder(t), name);
}

/** Opens and closes; what the schema was. */
async function open(file: string, migrations: readonly Migration[] = shipped) {
  const database = await openDatabase(sqliteOptions(file), migrations);
  await database.close();
  return database.schema;
}

function inspect<Result>(file: string, look: (database: DatabaseSync) => Result): Result {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    return look(database);
  } finally {
    database.close();
  }
}

const hasBackup = async (file: string) =>
  (await readdir(dirname(file))).some((name) => name.includes('.backup'));

const schemaOf = (file: string) =>
  inspect(file, (database) =>
    database.prepare('SELECT type, name, sql FROM sqlite_schema ORDER BY name').all(),
  );

t.test(
  'makes the schema in a fresh file, private to its user, and does nothing the second time',
  async (t) => {
    const file = await emptyFile(t);
    t.strictSame(await open(file), { version: schemaVersion, target: schemaVersion });
    t.equal((await stat(file)).mode & 0o777, 0o600);
    const made = schemaOf(file);
    t.equal(
      inspect(file, (database) => database.prepare('PRAGMA journal_mode').get()?.journal_mode),
      'wal',
    );
    for (const table of autobotTables)
      t.ok(
        made.some(({ name }) => name === table),
        table,
      );
    t.strictSame(await open(file), { version: schemaVersion, target: schemaVersion });
    t.strictSame(schemaOf(file), made);
    t.notOk(await hasBackup(file), 'a fresh file needs no backup');
  },
);

t.test('twenty processes that start at once make one schema', async (t) => {
  const file = await emptyFile(t);
  const found = await Promise.all(
    Array.from({ length: 20 }, async () => JSON.parse((await run(process.execPath, [opener, file])).stdout)),
  );
  t.strictSame(
    found,
    found.map(() => ({ version: schemaVersion, target: schemaVersion, files: 0 })),
  );
  t.equal(
    inspect(file, (database) => database.prepare('PRAGMA integrity_check').get()?.integrity_check),
    'ok',
  );
});

t.test('takes over a database that AutoBot made, in place, without losing a row', async (t) => {
  const file = await emptyFile(t, 'conversation_files.db');
  makeAutobotDatabase(file);
  const before = autobotRows(file);
  const found = await Promise.all(
    Array.from({ length: 4 }, async () => JSON.parse((await run(process.execPath, [opener, file])).stdout)),
  );
  for (const each of found) t.strictSame(each, { version: schemaVersion, target: schemaVersion, files: 45 });
  t.strictSame(autobotRows(file), before);
  t.strictSame(autobotRows(`${file}.v0.backup`), before, 'and the backup has them all');
  t.equal((await stat(`${file}.v0.backup`)).mode & 0o777, 0o600);
  const views = inspect(file, (database) =>
    ['active_files', 'session_summary', 'pending_cleanups'].map(
      (view) => database.prepare(`SELECT count(*) AS rows FROM ${view}`).get()?.rows,
    ),
  );
  t.strictSame(views, [45, 7, 50]);
  t.equal((await open(file)).problem, undefined);
});

t.test('a script that does not run leaves the file as it was, and what it can serve is served', async (t) => {
  const file = await emptyFile(t);
  await open(file);
  const before = await readFile(file);
  const cases: Record<string, string> = {
    'a syntax error': 'CREATE TABLE half (id INTEGER); CREATE TABEL other (id);',
    'a truncated script': 'CREATE TABLE half (id INTEGER); CREATE TABLE other (id',
    'a table that does not exist': 'CREATE TABLE half (id INTEGER); ALTER TABLE nowhere ADD COLUMN x;',
    'a script that ends the transaction itself':
      'CREATE TABLE half (id INTEGER); COMMIT; CREATE TABLE other (id);',
    'a script that reaches for another file': `ATTACH '${file}.other' AS other; CREATE TABLE other.x (y);`,
  };
  for (const [title, sql] of Object.entries(cases)) {
    const database = await openDatabase(sqliteOptions(file), [...shipped, extra(sql)]);
    t.match(
      database.schema,
      {
        version: schemaVersion,
        target: schemaVersion + 1,
        problem: {
          code: 'migration-broken',
          message: /_extra\.sqlite\.sql does not run here .*; put the script of this release back/,
        },
      },
      title,
    );
    t.strictSame(await database.call('files.list', { owner: unowned, words: [], limit: 10 }), [], title);
    await database.close();
    t.ok(before.equals(await readFile(file)), title);
  }
  t.notOk(await hasBackup(file));
});

t.test('a script that fails on the rows that are there is undone as a whole', async (t) => {
  const file = await emptyFile(t);
  makeAutobotDatabase(file);
  const before = autobotRows(file);
  const duplicate = 'CREATE TABLE half (id); CREATE UNIQUE INDEX once ON conversation_files (session_id);';
  const dangling = "CREATE TABLE half (id); DELETE FROM conversation_files WHERE file_id = 'file-3';";
  for (const sql of [duplicate, dangling]) {
    const state = await open(file, [...shipped, extra(sql)]);
    t.match(state, { version: schemaVersion, problem: { code: 'migration-broken' } });
    t.strictSame(autobotRows(file), before);
    t.notOk(schemaOf(file).some(({ name }) => name === 'half'));
  }
});

t.test('what only a newer schema can serve is refused, with what is missing', async (t) => {
  const file = await emptyFile(t);
  makeAutobotDatabase(file);
  const before = await readFile(file);
  const database = await openDatabase(sqliteOptions(file), [extra('CREATE TABLE', 1)]);
  t.match(database.schema, { version: 0, problem: { code: 'migration-broken' } });
  await t.rejects(database.call('files.list', { owner: unowned, words: [], limit: 1000 }), {
    code: 'schema-too-old',
  });
  t.strictSame(await database.call('files.metadata', { fileId: 'file-1' }), [
    { key: 'author', value: 'someone' },
  ]);
  await database.close();
  const tables = new DatabaseSync(file);
  tables.exec('DROP TABLE file_metadata');
  tables.close();
  const poorer = await openDatabase(sqliteOptions(file), []);
  t.match(poorer.schema, { version: 0, target: schemaVersion, problem: { code: 'migration-missing' } });
  await t.rejects(poorer.call('files.metadata', { fileId: 'file-1' }), {
    code: 'schema-too-old',
    message: /^files\.metadata needs a newer schema than .*no such table: file_metadata.*\/health/,
  });
  t.match(await poorer.call('files.accesses', { fileId: 'file-1', before: 1000, limit: 1 }), [
    { type: 'upload' },
  ]);
  await poorer.close();
  t.not(before.length, 0);
});

t.test('a newer database is refused and not touched', async (t) => {
  const file = await emptyFile(t);
  const newer = new DatabaseSync(file);
  newer.exec('CREATE TABLE future (id); PRAGMA user_version = 99');
  newer.close();
  const before = await readFile(file);
  await t.rejects(open(file), {
    code: 'database-newer',
    message: /found schema version 99, expected at most \d+; .*run that one/,
  });
  t.ok(before.equals(await readFile(file)));
});

t.test('a corrupt file is refused and not touched', async (t) => {
  const garbage = await emptyFile(t);
  await writeFile(garbage, Buffer.alloc(8192, 'not a database '));
  const damaged = await emptyFile(t);
  makeAutobotDatabase(damaged);
  const bytes = await readFile(damaged);
  bytes.fill(0xaa, 4096, bytes.length);
  await writeFile(damaged, bytes);
  const cut = await emptyFile(t);
  makeAutobotDatabase(cut);
  await truncate(cut, 5000);
  for (const file of [garbage, damaged, cut]) {
    const before = await readFile(file);
    await t.rejects(open(file), { code: 'database-corrupt', message: /restore a backup/ });
    t.ok(before.equals(await readFile(file)));
  }
});

t.test('a file or folder that may not be written is refused with what to do', async (t) => {
  const folder = await tempFolder(t);
  await chmod(folder, 0o755);
  const made = join(folder, 'made.db');
  await open(made);
  const readOnly = join(folder, 'closed');
  await mkdir(readOnly);
  await copyFile(made, join(readOnly, 'made.db'));
  await chmod(join(readOnly, 'made.db'), 0o444);
  await chmod(readOnly, 0o555);
  t.teardown(() => chmod(readOnly, 0o755));
  const expected = { error: 'database-unwritable', message: /make the file and its directory writable/ };
  const before = await readFile(made);
  t.match(await openUnprivileged(join(readOnly, 'made.db')), expected, 'a read-only file');
  t.match(await openUnprivileged(join(readOnly, 'new.db')), expected, 'a read-only folder');
  t.match(
    await openUnprivileged(join(folder, 'nowhere', 'new.db')),
    expected,
    'a folder that does not exist',
  );
  t.ok(before.equals(await readFile(join(readOnly, 'made.db'))));
  t.strictSame(await readdir(readOnly), ['made.db']);
});

t.test('a full disk leaves the file as it was, and what it can serve is served', { skip }, async (t) => {
  // A file system of the test's own, of 1 MiB, which goes away with the process.
  const disk = await tempFolder(t);
  const file = join(await tempFolder(t), 'core.db');
  makeAutobotDatabase(file);
  const size = (await stat(file)).size;
  const script = `mount -t tmpfs -o size=1m none "$1" && cp "$2" "$1/core.db" &&
    fill=$((1048576 - ${Math.ceil(size / 4096) * 4096} - $4)) && head -c $fill /dev/zero > "$1/ballast" && "$3" "$5" "$1/core.db" && cmp "$2" "$1/core.db" && rm "$1/ballast" && "$3" "$5" "$1/core.db"`;
  const onFullDisk = async (free: number) => {
    const args = [
      '--mount',
      '--map-root-user',
      'sh',
      '-c',
      script,
      'sh',
      disk,
      file,
      process.execPath,
      String(free),
      opener,
    ];
    const { stdout } = await run('unshare', args);
    return stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Opened);
  };
  for (const free of [0, size, 2 * size]) {
    const [full, after] = await onFullDisk(free);
    t.match(
      full,
      {
        version: 0,
        problem: 'database-full',
        files: 'schema-too-old',
        message: /free space on its disk.*then restart/,
      },
      `${free} bytes free`,
    );
    t.match(after, { version: schemaVersion, files: 45 }, 'and with space again it migrates');
  }
});

t.test('a process killed in the middle of a migration leaves the version before', async (t) => {
  const file = await emptyFile(t);
  makeAutobotDatabase(file);
  const before = autobotRows(file);
  const slow = `CREATE TABLE filler (x);
    INSERT INTO filler SELECT randomblob(500) FROM conversation_files a, conversation_files b, conversation_files c,
      conversation_files d, conversation_files e;`;
  const url = new URL('../../../../core/database/open-database.ts', import.meta.url).href;
  const child: ChildProcess = spawn(process.execPath, [
    '-e',
    `const { openDatabase } = await import(${JSON.stringify(url)});
     await openDatabase(${JSON.stringify(sqliteOptions(file))}, ${JSON.stringify([extra(slow, 1)])});`,
  ]);
  const journal = `${file}-journal`;
  while (
    !(await stat(journal).then(
      (found) => found.size > 0,
      () => false,
    ))
  )
    await new Promise(setImmediate);
  child.kill('SIGKILL');
  await once(child, 'exit');
  t.match(await open(file), { version: schemaVersion });
  t.strictSame(autobotRows(file), before);
});
