import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import type { Test } from 'tap';
import type { Database } from '../../core/database/database.ts';
import { openDatabase } from '../../core/database/open-database.ts';
import { ConversationFiles } from '../../core/files/conversation-files.ts';
import { FolderStore } from '../../core/files/folder-store.ts';
import { UnownedReaders } from '../../core/http/caller.ts';
import { fileRoutes } from '../../core/http/files/routes.ts';
import { buildServer } from '../../core/http/server.ts';
import { CallerLimits } from '../../core/limits/caller-limits.ts';
import { fileStore } from '../../core/store/file-store.ts';
import { unowned } from '../../core/terms/owner.ts';
import { sqliteOptions } from './sqlite-options.ts';
import { tempFolder } from './temp-folder.ts';

export interface FileService {
  readonly url: string;
  readonly folder: string;
  readonly store: string;
  readonly database: Database;
  readonly files: ConversationFiles;
  readonly app: FastifyInstance;
  /** Stops it and starts it again on the same folder. */
  close(): Promise<void>;
}

export interface FileServiceOptions {
  readonly folder?: string;
  readonly uploadLimitBytes?: number;
  readonly restorableMs?: number;
}

/** The file API as the core service serves it, on a port of its own. */
export async function startFileService(t: Test, options: FileServiceOptions = {}): Promise<FileService> {
  const folder = options.folder ?? (await tempFolder(t));
  const log = pino({ level: 'silent' });
  const database = await openDatabase(sqliteOptions(join(folder, 'core.db')));
  const store = join(folder, 'files');
  const files = new ConversationFiles({
    files: fileStore(database),
    contents: await FolderStore.open(store),
    uploadLimitBytes: options.uploadLimitBytes ?? 1024 * 1024,
    log,
    ...(options.restorableMs === undefined ? {} : { restorableMs: options.restorableMs }),
  });
  const app = await buildServer(log, new Registry(), 'test', undefined);
  await fileRoutes(app, files, new UnownedReaders([]), new CallerLimits({ callers: {} }));
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  let closed = false;
  const close = async () => {
    if (closed) return;
    closed = true;
    await app.close();
    await files.close();
    await database.close();
  };
  t.teardown(close);
  return { url, folder, store, database, files, app, close };
}

export interface ShownFile {
  readonly id: string;
  readonly session_id: string | null;
  readonly filename: string;
  readonly size: number;
  readonly sha256: string;
  readonly mime_type: string;
  readonly uploaded_at: string;
  readonly uploaded_by: string | null;
}

export function form(
  content: string | Uint8Array,
  filename: string,
  fields: Record<string, string> = {},
): FormData {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) body.append(name, value);
  body.append('file', new Blob([content as Uint8Array<ArrayBuffer>], { type: 'text/plain' }), filename);
  return body;
}

export async function upload(
  url: string,
  content: string | Uint8Array,
  filename: string,
  fields: Record<string, string> = {},
): Promise<ShownFile> {
  const response = await fetch(`${url}/api/files`, { method: 'POST', body: form(content, filename, fields) });
  const body = (await response.json()) as { files: ShownFile[]; error?: { message: string } };
  if (response.status !== 201) throw new Error(body.error?.message ?? String(response.status));
  return body.files[0]!;
}

/** Waits for something that another connection brings about. */
export async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(5);
}

/** Where the content of a file is on the disk. */
export async function placeOf(service: FileService, { id }: Pick<ShownFile, 'id'>): Promise<string> {
  const file = await service.database.call('files.get', { owner: unowned, fileId: id });
  if (file?.place == null) throw new Error(`the content of ${id} has no place`);
  return join(service.store, file.place);
}
