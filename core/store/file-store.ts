import type { Database } from '../database/database.ts';
import type {
  AccessType,
  ConversationFile,
  FileAccess,
  FileCursor,
  NewFile,
  StagedContent,
} from '../terms/file.ts';
import type { Owner } from '../terms/owner.ts';

/** Who does something to a file: its owner, and the name that is logged. */
export interface FileActor {
  readonly owner: Owner;
  readonly by: string | null;
}

/** Which files to list. */
export interface FileFilter {
  readonly sessionId?: string | undefined;
  /** Words that must all occur in the name or the metadata, compared without case. */
  readonly words: readonly string[];
}

/** What is known of files; every one by its owner. Undefined, false: there is none. */
export interface FileStore {
  /** All of them, or none. */
  add(actor: FileActor, files: readonly NewFile[]): Promise<ConversationFile[]>;
  /** Also a deleted one. */
  get(owner: Owner, fileId: string): Promise<ConversationFile | undefined>;
  list(
    owner: Owner,
    filter: FileFilter,
    after: FileCursor | undefined,
    limit: number,
  ): Promise<ConversationFile[]>;
  rename(actor: FileActor, fileId: string, name: string): Promise<ConversationFile | undefined>;
  copy(
    actor: FileActor,
    fileId: string,
    copy: {
      readonly newId: string;
      readonly sessionId?: string | undefined;
      readonly name?: string | undefined;
    },
  ): Promise<ConversationFile | undefined>;
  /** Its content may be removed from `removeAt` on. */
  delete(actor: FileActor, fileId: string, removeAt: string): Promise<boolean>;
  /** Deletes the files that only this session has. Returns how many. */
  deleteOfSession(actor: FileActor, sessionId: string, removeAt: string): Promise<number>;
  restore(actor: FileActor, fileId: string): Promise<ConversationFile | undefined>;
  logAccess(type: AccessType, fileId: string, by: string | null, details: object): Promise<void>;
  /** Newest first. */
  accesses(fileId: string, before: number, limit: number): Promise<FileAccess[]>;
  metadata(fileId: string): Promise<{ key: string; value: string | null }[]>;
  /** Null removes a key. */
  changeMetadata(
    owner: Owner,
    fileId: string,
    changes: Readonly<Record<string, string | null>>,
  ): Promise<boolean>;
  /** Bytes of the files of a calling service. */
  storedBytes(service: string): Promise<number>;
  /** Keeps a content, `instead` of another place of the same. Returns the place that counts. */
  keepContent(content: StagedContent, instead: string | null): Promise<string>;
  /** Settles clean-ups that are due. Returns the hashes whose contents may now be unused. */
  clean(limit: number): Promise<string[]>;
  /** Strikes off the contents that no file needs. Returns their places. */
  dropContents(hashes: readonly string[]): Promise<string[]>;
  /** Hashes of contents after one, in order. */
  hashes(after: string, limit: number): Promise<string[]>;
  /** Those of the places that no content has. */
  unknownPlaces(places: readonly string[]): Promise<string[]>;
}

export function fileStore(database: Database): FileStore {
  const at = () => new Date().toISOString();
  return {
    add: ({ owner, by }, files) => database.call('files.add', { owner, files, by, at: at() }),
    get: (owner, fileId) => database.call('files.get', { owner, fileId }),
    list: (owner, filter, after, limit) => database.call('files.list', { owner, ...filter, after, limit }),
    rename: (actor, fileId, name) => database.call('files.rename', { ...actor, fileId, name, at: at() }),
    copy: (actor, fileId, copy) => database.call('files.copy', { ...actor, fileId, ...copy, at: at() }),
    delete: (actor, fileId, removeAt) =>
      database.call('files.delete', { ...actor, fileId, removeAt, at: at() }),
    deleteOfSession: (actor, sessionId, removeAt) =>
      database.call('files.deleteOfChat', { ...actor, sessionId, removeAt, at: at() }),
    restore: (actor, fileId) => database.call('files.restore', { ...actor, fileId, at: at() }),
    logAccess: (type, fileId, by, details) =>
      database.call('files.logAccess', { type, fileId, by, details, at: at() }),
    accesses: (fileId, before, limit) => database.call('files.accesses', { fileId, before, limit }),
    metadata: (fileId) => database.call('files.metadata', { fileId }),
    changeMetadata: (owner, fileId, changes) =>
      database.call('files.changeMetadata', { owner, fileId, changes, at: at() }),
    storedBytes: (service) => database.call('files.storedBytes', { service }),
    keepContent: (content, instead) => database.call('contents.keep', { content, instead }),
    clean: (limit) => database.call('files.clean', { now: at(), limit }),
    dropContents: (hashes) => database.call('contents.drop', { hashes }),
    hashes: (after, limit) => database.call('contents.hashes', { after, limit }),
    unknownPlaces: (places) => database.call('contents.unknown', { places }),
  };
}
