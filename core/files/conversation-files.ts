import { randomUUID } from 'node:crypto';
import type { FastifyBaseLogger } from 'fastify';
import type { FileActor, FileStore } from '../store/file-store.ts';
import { CoreError } from '../terms/errors.ts';
import type { AccessType, ConversationFile, FileAccess, FileCursor, NewFile } from '../terms/file.ts';
import { type Owner, unowned } from '../terms/owner.ts';
import { Cleaner } from './cleaner.ts';
import type { ContentStore, OpenContent } from './content-store.ts';
import { ContentVerifier } from './content-verifier.ts';

/** How long a deleted file can be restored. */
const restorableMs = 7 * 24 * 3_600_000;
const cleanEveryMs = 10 * 60_000;

export interface ConversationFilesOptions {
  readonly files: FileStore;
  readonly contents: ContentStore;
  /** Largest file, in bytes. */
  readonly uploadLimitBytes: number;
  readonly log: FastifyBaseLogger;
  /** How long a deleted file can be restored; default 7 days. */
  readonly restorableMs?: number;
}

/** Who reads files: the owner, and whether it may read what belongs to nobody. */
export interface FileReader {
  readonly owner: Owner;
  readonly readsUnowned: boolean;
}

/** The files of conversations: what is known of them, their contents, and the clean-up that keeps the two in step. */
export class ConversationFiles {
  readonly contents: ContentStore;
  readonly cleaner: Cleaner;
  readonly uploadLimitBytes: number;
  readonly #files: FileStore;
  readonly #log: FastifyBaseLogger;
  readonly #restorableMs: number;
  readonly #verifier = new ContentVerifier();

  constructor(options: ConversationFilesOptions) {
    this.contents = options.contents;
    this.uploadLimitBytes = options.uploadLimitBytes;
    this.#files = options.files;
    this.#log = options.log;
    this.#restorableMs = options.restorableMs ?? restorableMs;
    this.cleaner = new Cleaner(options.files, options.contents, options.log, cleanEveryMs);
  }

  /** Adds uploads whose contents are in the store: all of them, or none. */
  async add(actor: FileActor, uploads: readonly NewFile[]): Promise<ConversationFile[]> {
    let added: ConversationFile[];
    try {
      added = await this.#files.add(actor, uploads);
    } catch (error) {
      await this.discard(uploads);
      throw error;
    }
    for (const [index, file] of added.entries()) await this.#settle(uploads[index]!, file);
    return added;
  }

  /** Removes the contents of uploads that come to nothing. */
  async discard(uploads: readonly Pick<NewFile, 'content'>[]): Promise<void> {
    await Promise.all(uploads.map(({ content }) => this.contents.remove(content.place)));
  }

  /** @throws {CoreError} file_not_found, also for a deleted one and for another owner's */
  async get(reader: FileReader, fileId: string): Promise<ConversationFile> {
    const file = await this.#find(reader, fileId);
    if (file === undefined || file.isDeleted) throw notFound(fileId);
    return file;
  }

  list(
    owner: Owner,
    filter: { readonly session?: string | undefined; readonly search?: string | undefined },
    after: FileCursor | undefined,
    limit: number,
  ): Promise<ConversationFile[]> {
    const words = filter.search?.split(/\s+/u).filter((word) => word !== '') ?? [];
    return this.#files.list(owner, { sessionId: filter.session, words }, after, limit);
  }

  /**
   * The content of a file, opened; it is what was uploaded.
   *
   * @throws {CoreError} file_gone when it is not in the store, or damaged
   */
  async open(file: ConversationFile): Promise<OpenContent> {
    const content = file.place === null ? await this.#adopt(file) : await this.contents.open(file.place);
    if (content === undefined) throw this.#gone(file, 'is not in the store');
    if (await this.#isWhole(content, file)) return content;
    await content.close();
    throw this.#gone(file, 'is damaged: it is not what was uploaded');
  }

  async rename(actor: FileActor, fileId: string, name: string): Promise<ConversationFile> {
    return found(fileId, await this.#files.rename(actor, fileId, name));
  }

  async copy(
    actor: FileActor,
    fileId: string,
    to: { readonly sessionId?: string | undefined; readonly name?: string | undefined },
  ): Promise<ConversationFile> {
    // Opening it takes a content that AutoBot stored into the store, and tells one that is gone.
    const source = await this.get({ owner: actor.owner, readsUnowned: false }, fileId);
    await (await this.open(source)).close();
    return found(fileId, await this.#files.copy(actor, fileId, { newId: randomUUID(), ...to }));
  }

  async delete(actor: FileActor, fileId: string): Promise<void> {
    if (!(await this.#files.delete(actor, fileId, this.#removeAt()))) throw notFound(fileId);
  }

  /** Deletes the files that only this session has. */
  deleteOfSession(actor: FileActor, sessionId: string): Promise<number> {
    return this.#files.deleteOfSession(actor, sessionId, this.#removeAt());
  }

  async restore(actor: FileActor, fileId: string): Promise<ConversationFile> {
    const restored = await this.#files.restore(actor, fileId);
    if (restored !== undefined) return restored;
    const file = found(fileId, await this.#files.get(actor.owner, fileId));
    if (!file.isDeleted) return file;
    throw new CoreError(
      'file_gone',
      `file ${fileId} was deleted at ${file.deletedAt}, too long ago to restore it`,
    );
  }

  /** Also of deleted files. */
  async accesses(reader: FileReader, fileId: string, before: number, limit: number): Promise<FileAccess[]> {
    if ((await this.#find(reader, fileId)) === undefined) throw notFound(fileId);
    return this.#files.accesses(fileId, before, limit);
  }

  /** Records an access. When that fails, the access is still served: a full disk must not hide what is on it. */
  async logAccess(type: AccessType, fileId: string, by: string | null, details: object = {}): Promise<void> {
    try {
      await this.#files.logAccess(type, fileId, by, details);
    } catch (error) {
      this.#log.error(
        { err: error, file_id: fileId, access: type, by },
        'could not record an access to a file',
      );
    }
  }

  async metadata(reader: FileReader, fileId: string): Promise<Record<string, string>> {
    await this.get(reader, fileId);
    return this.#metadata(fileId);
  }

  async changeMetadata(
    owner: Owner,
    fileId: string,
    changes: Readonly<Record<string, string | null>>,
  ): Promise<Record<string, string>> {
    if (!(await this.#files.changeMetadata(owner, fileId, changes))) throw notFound(fileId);
    return this.#metadata(fileId);
  }

  /** Bytes of the files of a calling service that are not deleted. */
  storedBytes(service: string): Promise<number> {
    return this.#files.storedBytes(service);
  }

  close(): Promise<void> {
    return this.cleaner.close();
  }

  async #metadata(fileId: string): Promise<Record<string, string>> {
    const entries = await this.#files.metadata(fileId);
    return Object.fromEntries(entries.map(({ key, value }) => [key, value ?? '']));
  }

  async #find({ owner, readsUnowned }: FileReader, fileId: string): Promise<ConversationFile | undefined> {
    const own = await this.#files.get(owner, fileId);
    return own ?? (readsUnowned ? this.#files.get(unowned, fileId) : undefined);
  }

  #removeAt(): string {
    return new Date(Date.now() + this.#restorableMs).toISOString();
  }

  /** An equal content that was there before serves both, unless it is damaged: then the new one takes its place. */
  async #settle({ content }: NewFile, file: ConversationFile): Promise<void> {
    const { place } = file;
    if (place === null || place === content.place) return;
    const earlier = await this.contents.open(place);
    const whole = earlier !== undefined && (await this.#isWhole(earlier, file));
    await earlier?.close();
    if (whole) return this.contents.remove(content.place);
    if ((await this.#files.keepContent(content, place)) === content.place) await this.contents.remove(place);
  }

  async #isWhole(content: OpenContent, file: ConversationFile): Promise<boolean> {
    return this.#verifier.matches(content, file).catch(() => false);
  }

  /**
   * A file that AutoBot stored, where the folder is the one that AutoBot used: its content is copied into the store when it is
   * first asked for, if it is what its row says.
   */
  async #adopt(file: ConversationFile): Promise<OpenContent | undefined> {
    const source = await this.contents.openLegacy({ sessionId: file.sessionId, ...file.legacy });
    if (source === undefined) return undefined;
    const whole = source.size === 0 ? [] : source.read({ start: 0, end: source.size - 1 });
    const content = await this.contents.stage(whole as AsyncIterable<Buffer>).finally(() => source.close());
    if (content.sha256 !== file.sha256) {
      await this.contents.remove(content.place);
      return undefined;
    }
    const place = await this.#files.keepContent(content, null);
    if (place !== content.place) await this.contents.remove(content.place);
    return this.contents.open(place);
  }

  #gone(file: ConversationFile, what: string): CoreError {
    this.#log.error({ file_id: file.id, sha256: file.sha256 }, `the content of a file ${what}`);
    return new CoreError(
      'file_gone',
      `the content of file ${file.id} ${what}; restore it from a backup, or upload it again`,
    );
  }
}

function found(fileId: string, file: ConversationFile | undefined): ConversationFile {
  if (file === undefined) throw notFound(fileId);
  return file;
}

function notFound(fileId: string): CoreError {
  return new CoreError('file_not_found', `no file has the id ${fileId}`);
}
