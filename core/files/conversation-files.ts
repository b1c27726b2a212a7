import { randomUUID } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { FastifyBaseLogger } from 'fastify';
import type { Database } from '../database/database.ts';
import type { NewFile } from '../database/queries/file-contents.ts';
import type { AccessRow, AccessType, FileCursor, FileRow } from '../database/queries/files.ts';
import { CoreError } from '../errors.ts';
import { Cleaner } from './cleaner.ts';
import { contentPath } from './content-path.ts';
import { ContentVerifier } from './content-verifier.ts';
import { ContentStore } from './store.ts';

/** How long a deleted file can be restored. */
const restorableMs = 7 * 24 * 3_600_000;
const cleanEveryMs = 10 * 60_000;

export interface ConversationFilesOptions {
  readonly database: Database;
  /** Folder of the contents; made when it does not exist. */
  readonly folder: string;
  /** Largest file, in bytes. */
  readonly uploadLimitBytes: number;
  readonly log: FastifyBaseLogger;
  /** How long a deleted file can be restored; default 7 days. */
  readonly restorableMs?: number;
}

/** The files of conversations: rows in the database, contents in a folder, and the clean-up that keeps the two in step. */
export class ConversationFiles {
  readonly store: ContentStore;
  readonly cleaner: Cleaner;
  readonly uploadLimitBytes: number;
  readonly #database: Database;
  readonly #log: FastifyBaseLogger;
  readonly #restorableMs: number;
  readonly #verifier = new ContentVerifier();

  private constructor(options: ConversationFilesOptions, store: ContentStore) {
    this.store = store;
    this.uploadLimitBytes = options.uploadLimitBytes;
    this.#database = options.database;
    this.#log = options.log;
    this.#restorableMs = options.restorableMs ?? restorableMs;
    this.cleaner = new Cleaner(options.database, store, options.log, cleanEveryMs);
  }

  static async open(options: ConversationFilesOptions): Promise<ConversationFiles> {
    return new ConversationFiles(options, await ContentStore.open(options.folder));
  }

  /** Stores uploads that are on the disk: all of them, or none. */
  async add(files: readonly NewFile[], by: string | null): Promise<FileRow[]> {
    try {
      return await this.#database.call('files.add', { store: this.store.folder, files, by, at: now() });
    } catch (error) {
      await Promise.all(files.map((file) => this.store.discard({ path: file.staged })));
      throw error;
    }
  }

  /** @throws {CoreError} file_not_found, also for a deleted one */
  async get(fileId: string): Promise<FileRow> {
    const row = await this.#database.call('files.get', { fileId });
    if (row === undefined || row.is_deleted === 1) throw notFound(fileId);
    return row;
  }

  list(
    filter: { readonly session?: string | undefined; readonly search?: string | undefined },
    after: FileCursor | undefined,
    limit: number,
  ): Promise<FileRow[]> {
    const words = filter.search?.split(/\s+/u).filter((word) => word !== '') ?? [];
    return this.#database.call('files.list', { sessionId: filter.session, words, after, limit });
  }

  /**
   * The content of a file, opened; it is what its row says.
   *
   * @throws {CoreError} file_gone when it is not in the store, or not what was uploaded
   */
  async open(row: FileRow): Promise<FileHandle> {
    const handle = (await this.store.openContent(row.file_hash)) ?? (await this.#adopt(row));
    if (handle === undefined) throw this.#gone(row, 'is not in the store');
    const expected = { hash: row.file_hash, size: row.file_size };
    const whole = await this.#verifier.matches(handle, expected).catch(() => false);
    if (whole) return handle;
    await handle.close();
    throw this.#gone(row, 'is damaged: it is not what was uploaded');
  }

  async rename(fileId: string, name: string, by: string | null): Promise<FileRow> {
    const row = await this.#database.call('files.rename', { fileId, name, by, at: now() });
    if (row === undefined) throw notFound(fileId);
    return row;
  }

  async copy(
    fileId: string,
    to: { readonly sessionId?: string | undefined; readonly name?: string | undefined },
    by: string | null,
  ): Promise<FileRow> {
    // Opening it takes a content that AutoBot stored into the store, and tells one that is gone.
    await (await this.open(await this.get(fileId))).close();
    const ids = { fileId, newId: randomUUID() };
    const row = await this.#database.call('files.copy', {
      ...ids,
      ...to,
      store: this.store.folder,
      by,
      at: now(),
    });
    if (row === undefined) throw notFound(fileId);
    return row;
  }

  async delete(fileId: string, by: string | null): Promise<void> {
    const done = await this.#database.call('files.delete', {
      fileId,
      by,
      at: now(),
      removeAt: this.#removeAt(),
    });
    if (!done) throw notFound(fileId);
  }

  /** Deletes the files that only this chat has. */
  deleteOfChat(sessionId: string, by: string | null): Promise<number> {
    return this.#database.call('files.deleteOfChat', {
      sessionId,
      by,
      at: now(),
      removeAt: this.#removeAt(),
    });
  }

  async restore(fileId: string, by: string | null): Promise<FileRow> {
    const row = await this.#database.call('files.restore', { fileId, by, at: now() });
    if (row !== undefined) return row;
    const found = await this.#database.call('files.get', { fileId });
    if (found === undefined) throw notFound(fileId);
    if (found.is_deleted === 0) return found;
    throw new CoreError(
      'file_gone',
      `file ${fileId} was deleted at ${found.deleted_at}, too long ago to restore it`,
    );
  }

  /** Also of deleted files. */
  async accesses(fileId: string, before: number, limit: number): Promise<AccessRow[]> {
    if ((await this.#database.call('files.get', { fileId })) === undefined) throw notFound(fileId);
    return this.#database.call('files.accesses', { fileId, before, limit });
  }

  /** Records an access. When that fails, the access is still served: a full disk must not hide what is on it. */
  async logAccess(type: AccessType, fileId: string, by: string | null, details: object = {}): Promise<void> {
    try {
      await this.#database.call('files.logAccess', { type, fileId, by, at: now(), details });
    } catch (error) {
      this.#log.error(
        { err: error, file_id: fileId, access: type, by },
        'could not record an access to a file',
      );
    }
  }

  async metadata(fileId: string): Promise<Record<string, string>> {
    await this.get(fileId);
    const entries = await this.#database.call('files.metadata', { fileId });
    return Object.fromEntries(entries.map(({ key, value }) => [key, value ?? '']));
  }

  async changeMetadata(
    fileId: string,
    changes: Readonly<Record<string, string | null>>,
  ): Promise<Record<string, string>> {
    if (!(await this.#database.call('files.changeMetadata', { fileId, at: now(), changes })))
      throw notFound(fileId);
    return this.metadata(fileId);
  }

  close(): Promise<void> {
    return this.cleaner.close();
  }

  #gone(row: FileRow, found: string): CoreError {
    this.#log.error({ file_id: row.file_id, sha256: row.file_hash }, `the content of a file ${found}`);
    return new CoreError(
      'file_gone',
      `the content of file ${row.file_id} ${found}; restore it from a backup, or upload it again`,
    );
  }

  #removeAt(): string {
    return new Date(Date.now() + this.#restorableMs).toISOString();
  }

  /**
   * A file that AutoBot stored, where the folder is the one that AutoBot used: its content is copied into the store when it is
   * first asked for, if it is what its row says.
   */
  async #adopt(row: FileRow): Promise<FileHandle | undefined> {
    const { folder } = this.store;
    const places = [
      row.file_path,
      join(folder, row.session_id, row.stored_filename),
      join(folder, row.stored_filename),
    ];
    places.push(join(folder, basename(row.file_path)));
    for (const place of places) {
      const source = await this.store.openInside(place);
      if (source === undefined) continue;
      const staged = await this.store.stage(source.createReadStream());
      if (staged.hash === row.file_hash && contentPath(staged.hash) !== undefined) {
        const { path, hash } = staged;
        await this.#database.call('files.adopt', { store: folder, fileId: row.file_id, staged: path, hash });
        return this.store.openContent(hash);
      }
      await this.store.discard(staged);
    }
    return undefined;
  }
}

function now(): string {
  return new Date().toISOString();
}

function notFound(fileId: string): CoreError {
  return new CoreError('file_not_found', `no file has the id ${fileId}`);
}
