import { join } from 'node:path';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { openDatabase } from '../../core/database/open-database.ts';
import { ConversationFiles } from '../../core/files/conversation-files.ts';
import { FolderStore } from '../../core/files/folder-store.ts';
import { UnownedReaders } from '../../core/http/caller.ts';
import { fileRoutes } from '../../core/http/files/routes.ts';
import { buildServer } from '../../core/http/server.ts';
import { CallerLimits } from '../../core/limits/caller-limits.ts';
import { fileStore } from '../../core/store/file-store.ts';
import { form } from './core-files.ts';
import { sqliteOptions } from './sqlite-options.ts';

/** A process that uploads into a small file system until it is full, and prints what happened as JSON. */
const folder = process.argv[2]!;
const log = pino({ level: 'silent' });
const database = await openDatabase(sqliteOptions(join(folder, 'core.db')));
const limit = 1024 * 1024;
const files = new ConversationFiles({
  files: fileStore(database),
  contents: await FolderStore.open(join(folder, 'files')),
  uploadLimitBytes: limit,
  log,
});
const app = await buildServer(log, new Registry(), 'test', undefined);
await fileRoutes(app, files, new UnownedReaders([]), new CallerLimits({ callers: {} }));
const url = await app.listen({ host: '127.0.0.1', port: 0 });

const kept: string[] = [];
/** Until one is refused; the answer it got. */
async function fill(bytes: number): Promise<{ status: number; code: string }> {
  for (let n = 0; ; n++) {
    const content = `${bytes} ${n} `.padEnd(bytes, 'x');
    const response = await fetch(`${url}/api/files`, { method: 'POST', body: form(content, 'x.txt') });
    const body = (await response.json()) as { files?: { id: string }[]; error?: { code: string } };
    if (response.status !== 201) return { status: response.status, code: body.error!.code };
    kept.push(body.files![0]!.id);
  }
}
const large = await fill(100_000);
// What is left after that goes to the database, down to the last page.
const small = await fill(10);
const readable = await Promise.all(
  kept.map((id) => fetch(`${url}/api/files/${id}/content`).then((r) => r.status)),
);
console.log(
  JSON.stringify({
    large,
    small,
    kept: kept.length,
    readable: readable.filter((s) => s === 200).length,
  }),
);
await app.close();
await files.close();
await database.close();
