import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import t, { type Test } from 'tap';
import { openForWriting } from '../../../core/database/connection.ts';
import { type Database, openDatabase } from '../../../core/database/database.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const hash = 'a'.repeat(64);
const at = '2026-11-23T12:00:00.000Z';

async function opened(t: Test): Promise<{ database: Database; file: string; store: string }> {
  const folder = await tempFolder(t);
  const file = join(folder, 'core.db');
  const store = join(folder, 'files');
  const database = await openDatabase({ file, busyTimeoutMs: 200 });
  t.teardown(() => database.close());
  await mkdir(join(store, 'incoming'), { recursive: true });
  return { database, file, store };
}

async function addFile(database: Database, store: string, fileId: string, name = 'x'): Promise<void> {
  const staged = join(store, 'incoming', randomUUID());
  await writeFile(staged, 'content');
  const file = { fileId, sessionId: 's', name, mimeType: 'text/plain', staged, size: 7, hash, metadata: {} };
  await database.call('files.add', { store, files: [file], by: null, at });
}

t.test('every connection that writes syncs at each commit and enforces references', async (t) => {
  const database = openForWriting(join(await tempFolder(t), 'x.db'), 1);
  t.teardown(() => database.close());
  t.equal(database.prepare('PRAGMA synchronous').get()?.synchronous, 2);
  t.equal(database.prepare('PRAGMA foreign_keys').get()?.foreign_keys, 1);
});

t.test('a read sees every write that was answered before', async (t) => {
  const { database, store } = await opened(t);
  for (let index = 0; index < 20; index++) {
    await addFile(database, store, `f${index}`);
    t.equal((await database.call('files.get', { fileId: `f${index}` }))?.file_id, `f${index}`);
  }
});

t.test('writes that wait together are undone one by one', async (t) => {
  const { database, store } = await opened(t);
  await addFile(database, store, 'first');
  const outcomes = await Promise.allSettled(
    ['a', 'first', 'b', 'first', 'c'].map((fileId) => addFile(database, store, fileId)),
  );
  t.strictSame(
    outcomes.map((outcome) => (outcome.status === 'fulfilled' ? 'done' : outcome.reason.code)),
    ['done', 'constraint', 'done', 'constraint', 'done'],
  );
  const rows = await database.call('files.list', { words: [], limit: 10 });
  t.strictSame(rows.map((row) => row.file_id).sort(), ['a', 'b', 'c', 'first']);
});

t.test(
  'a database that somebody else keeps locked is busy, after the time-out, and serves again',
  async (t) => {
    const { database, file, store } = await opened(t);
    const other = new DatabaseSync(file);
    other.exec('BEGIN IMMEDIATE');
    await t.rejects(addFile(database, store, 'blocked'), {
      code: 'database-busy',
      message: /another process holds/,
    });
    t.strictSame(await database.call('files.list', { words: [], limit: 10 }), [], 'reads go on');
    other.exec('ROLLBACK');
    other.close();
    await addFile(database, store, 'free');
  },
);

t.test('close answers what was called before, and nothing after', async (t) => {
  const { database, file, store } = await opened(t);
  const writes = Array.from({ length: 30 }, (_, index) => addFile(database, store, `f${index}`));
  await Promise.all(writes.slice(0, 1));
  const rename = database.call('files.rename', { fileId: 'f0', by: null, at, name: 'last' });
  await database.close();
  t.match(await rename, { original_filename: 'last' });
  await t.rejects(database.call('files.get', { fileId: 'f0' }), { code: 'database-closed' });
  await Promise.allSettled(writes);
  const after = new DatabaseSync(file);
  t.equal(after.prepare('PRAGMA integrity_check').get()?.integrity_check, 'ok');
  after.close();
});

t.test('a process that is killed has kept every write that it was told of', async (t) => {
  const folder = await tempFolder(t);
  const file = join(folder, 'core.db');
  const store = join(folder, 'files');
  await mkdir(join(store, 'incoming'), { recursive: true });
  const url = (path: string) => JSON.stringify(new URL(`../../../${path}`, import.meta.url).href);
  const child: ChildProcess = spawn(
    process.execPath,
    [
      '-e',
      `const { openDatabase } = await import(${url('core/database/database.ts')});
       const { writeFile } = await import('node:fs/promises');
       const database = await openDatabase({ file: ${JSON.stringify(file)} });
       const store = ${JSON.stringify(store)};
       const writer = async (name) => { for (let n = 0; ; n++) {
         const fileId = name + n, staged = store + '/incoming/' + fileId;
         await writeFile(staged, fileId);
         const hash = Buffer.from(fileId).toString('hex').padStart(64, '0');
         await database.call('files.add', { store, by: null, at: 'now',
           files: [{ fileId, sessionId: '', name: fileId, mimeType: 'x', staged, size: fileId.length, hash, metadata: {} }] });
         process.stdout.write(fileId + '\\n');
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
  const database = await openDatabase({ file });
  const rows = await database.call('files.list', { words: [], limit: 100_000 });
  await database.close();
  t.ok(told.length >= 200);
  const kept = new Set(rows.map((row) => row.file_id));
  t.strictSame(
    told.filter((fileId) => !kept.has(fileId)),
    [],
  );
  t.equal(kept.size, rows.length);
  for (const row of rows) await rm(join(store, row.file_path)); // throws where a row names a content that is not there
});
