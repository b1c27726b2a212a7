import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import t, { type Test } from 'tap';
import type { Database } from '../../../../core/database/database.ts';
import { openDatabase } from '../../../../core/database/open-database.ts';
import { openForWriting } from '../../../../core/database/sqlite/open-file.ts';
import { unowned } from '../../../../core/terms/owner.ts';
import { sqliteOptions } from '../../../support/sqlite-options.ts';
import { tempFolder } from '../../../support/temp-folder.ts';

const at = '2026-11-23T12:00:00.000Z';
const list = { owner: unowned, words: [], limit: 100_000 };

async function opened(t: Test): Promise<{ database: Database; file: string }> {
  const file = join(await tempFolder(t), 'core.db');
  const database = await openDatabase(sqliteOptions(file, 200));
  t.teardown(() => database.close());
  return { database, file };
}

function addFile(database: Database, id: string) {
  const content = { place: id, size: 7, sha256: 'a'.repeat(64) };
  const file = { id, sessionId: 's', name: 'x', mimeType: 'text/plain', content, metadata: {} };
  return database.call('files.add', { owner: unowned, files: [file], by: null, at });
}

t.test('every connection that writes syncs at each commit and enforces references', async (t) => {
  const database = openForWriting(join(await tempFolder(t), 'x.db'), 1);
  t.teardown(() => database.close());
  t.equal(database.prepare('PRAGMA synchronous').get()?.synchronous, 2);
  t.equal(database.prepare('PRAGMA foreign_keys').get()?.foreign_keys, 1);
});

t.test(
  'a database that somebody else keeps locked is busy, after the time-out, and serves again',
  async (t) => {
    const { database, file } = await opened(t);
    const other = new DatabaseSync(file);
    other.exec('BEGIN IMMEDIATE');
    await t.rejects(addFile(database, 'blocked'), {
      code: 'database-busy',
      message: /another process holds/,
    });
    t.strictSame(await database.call('files.list', list), [], 'reads go on');
    other.exec('ROLLBACK');
    other.close();
    await addFile(database, 'free');
  },
);

t.test('close answers what was called before, and nothing after', async (t) => {
  const { database, file } = await opened(t);
  const writes = Array.from({ length: 30 }, (_, index) => addFile(database, `f${index}`));
  await Promise.all(writes.slice(0, 1));
  const rename = database.call('files.rename', { owner: unowned, fileId: 'f0', by: null, at, name: 'last' });
  await database.close();
  t.match(await rename, { name: 'last' });
  await t.rejects(database.call('files.get', { owner: unowned, fileId: 'f0' }), { code: 'database-closed' });
  await Promise.allSettled(writes);
  const after = new DatabaseSync(file);
  t.equal(after.prepare('PRAGMA integrity_check').get()?.integrity_check, 'ok');
  after.close();
});

t.test('a process that is killed has kept every write that it was told of', async (t) => {
  const file = join(await tempFolder(t), 'core.db');
  const url = (path: string) => JSON.stringify(new URL(`../../../../${path}`, import.meta.url).href);
  const child: ChildProcess = spawn(
    process.execPath,
    [
      '-e',
      `const { openDatabase } = await import(${url('core/database/open-database.ts')});
       const options = { file: ${JSON.stringify(file)}, busyTimeoutMs: 5000, slowReadMs: 5000 };
       const database = await openDatabase({ sqlite: options });
       const writer = async (name) => { for (let n = 0; ; n++) {
         const id = name + n;
         const content = { place: id, size: 1, sha256: Buffer.from(id).toString('hex').padStart(64, '0') };
         await database.call('files.add', { owner: { service: '', user: '' }, by: null, at: 'now',
           files: [{ id, sessionId: '', name: id, mimeType: 'x', content, metadata: {} }] });
         process.stdout.write(id + '\\n');
       } };
       for (const name of 'abcdefgh') writer(name);`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const told: string[] = [];
  for await (const line of createInterface({ input: child.stdout! })) {
    told.push(line);
    if (told.length === 200) child.kill('SIGKILL');
  }
  if (child.signalCode === null) await once(child, 'exit');
  const database = await openDatabase(sqliteOptions(file));
  const rows = await database.call('files.list', list);
  await database.close();
  t.ok(told.length >= 200);
  const kept = new Map(rows.map((row) => [row.id, row.place]));
  t.strictSame(
    told.filter((id) => kept.get(id) !== id),
    [],
  );
});
