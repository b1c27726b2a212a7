import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { contentPath } from '../../files/content-path.ts';
import type { Connection } from '../connection.ts';
import { write } from '../query.ts';
import { type Access, changeMetadata, type FileRow, getFile, getLiveFile, logAccess } from './files.ts';

/** A complete upload that waits in the store, synced. */
export interface NewFile {
  readonly fileId: string;
  readonly sessionId: string;
  readonly name: string;
  readonly mimeType: string;
  /** Its path; moved into the store. */
  readonly staged: string;
  readonly size: number;
  readonly hash: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Queries that change rows and contents together. Contents are shared by all files with the same hash, so each of these
 * moves or removes them inside the write transaction, whose lock keeps out every other writer, of other processes too:
 * a content is in place before the row that names it is committed, and is removed only while no such row exists.
 */
export const fileContentQueries = {
  /** All of them, or none. */
  'files.add': write(
    (
      db,
      {
        store,
        files,
        by,
        at,
      }: {
        readonly store: string;
        readonly files: readonly NewFile[];
        readonly by: string | null;
        readonly at: string;
      },
    ): FileRow[] =>
      files.map((file) => {
        moveIntoStore(store, file.staged, file.hash);
        insertFile(db, {
          file_id: file.fileId,
          session_id: file.sessionId,
          original_filename: file.name,
          file_size: file.size,
          file_hash: file.hash,
          mime_type: file.mimeType,
          uploaded_at: at,
          uploaded_by: by,
        });
        changeMetadata(db, file.fileId, at, file.metadata);
        return getFile(db, file.fileId)!;
      }),
  ),

  /** A second file with the same content; undefined when there is no such file, or its content is missing. */
  'files.copy': write(
    (
      db,
      {
        store,
        newId,
        sessionId,
        name,
        ...access
      }: Access & {
        readonly store: string;
        readonly newId: string;
        readonly sessionId?: string | undefined;
        readonly name?: string | undefined;
      },
    ): FileRow | undefined => {
      const source = getLiveFile(db, access.fileId);
      const path = source && contentPath(source.file_hash);
      if (source === undefined || path === undefined || !existsSync(join(store, path))) return undefined;
      insertFile(db, {
        ...source,
        file_id: newId,
        session_id: sessionId ?? source.session_id,
        original_filename: name ?? source.original_filename,
        uploaded_at: access.at,
        uploaded_by: access.by,
      });
      db.run(
        `INSERT INTO file_metadata (file_id, metadata_key, metadata_value, created_at)
         SELECT :newId, metadata_key, metadata_value, :at FROM file_metadata WHERE file_id = :fileId`,
        { newId, fileId: source.file_id, at: access.at },
      );
      logAccess(db, 'view', access, { copied_to: newId });
      return getFile(db, newId);
    },
  ),

  /** Takes the content of a file that AutoBot stored into the store. */
  'files.adopt': write(
    (
      db,
      args: {
        readonly store: string;
        readonly fileId: string;
        readonly staged: string;
        readonly hash: string;
      },
    ): void => {
      moveIntoStore(args.store, args.staged, args.hash);
      db.run('UPDATE conversation_files SET file_path = :path WHERE file_id = :fileId', {
        fileId: args.fileId,
        path: contentPath(args.hash)!,
      });
    },
  ),

  /**
   * Settles clean-ups that are due for files that are deleted; a pending one of a file in use waits until it is deleted. The
   * rows stay, as the record of what was there. Returns the hashes whose contents may now be unused.
   */
  'files.clean': write((db, { now, limit }: { readonly now: string; readonly limit: number }): string[] => {
    const due = db.all<{ cleanup_id: number; file_hash: string }>(
      `SELECT cleanup_id, file_hash FROM file_cleanup_queue JOIN conversation_files USING (file_id)
       WHERE is_processed = 0 AND is_deleted = 1 AND julianday(scheduled_deletion_time) <= julianday(:now)
       ORDER BY cleanup_id LIMIT :limit`,
      { now, limit },
    );
    for (const { cleanup_id } of due) {
      db.run(
        'UPDATE file_cleanup_queue SET is_processed = 1, processed_at = :now WHERE cleanup_id = :cleanup_id',
        {
          cleanup_id,
          now,
        },
      );
    }
    return due.map((row) => row.file_hash);
  }),

  /** Removes those of the contents that no file needs any more. Returns how many. */
  'files.sweep': write(
    (db, { store, hashes }: { readonly store: string; readonly hashes: readonly string[] }): number => {
      let removed = 0;
      for (const hash of hashes) {
        const path = contentPath(hash);
        if (path === undefined || isNeeded(db, hash)) continue;
        rmSync(join(store, path), { force: true });
        removed++;
      }
      return removed;
    },
  ),
};

/** A file is in use, or deleted and not cleaned yet (it can be restored). */
function isNeeded(db: Connection, hash: string): boolean {
  return (
    db.get(
      `SELECT 1 FROM conversation_files AS file WHERE file_hash = :hash
         AND (is_deleted = 0 OR NOT EXISTS
              (SELECT 1 FROM file_cleanup_queue AS cleanup WHERE cleanup.file_id = file.file_id AND is_processed = 1))`,
      { hash },
    ) !== undefined
  );
}

function insertFile(
  db: Connection,
  row: Omit<FileRow, 'stored_filename' | 'file_path' | 'is_deleted' | 'deleted_at'>,
): void {
  const {
    file_id,
    session_id,
    original_filename,
    file_size,
    file_hash,
    mime_type,
    uploaded_at,
    uploaded_by,
  } = row;
  db.run(
    `INSERT INTO conversation_files (file_id, session_id, original_filename, stored_filename, file_path, file_size,
                                     file_hash, mime_type, uploaded_at, uploaded_by, is_deleted)
     VALUES (:file_id, :session_id, :original_filename, :file_id, :file_path, :file_size,
             :file_hash, :mime_type, :uploaded_at, :uploaded_by, 0)`,
    {
      file_id,
      session_id,
      original_filename,
      file_path: contentPath(file_hash)!,
      file_size,
      file_hash,
      mime_type,
      uploaded_at,
      uploaded_by,
    },
  );
  if (session_id !== '') {
    db.run(
      `INSERT INTO session_file_associations (session_id, file_id, association_type, associated_at)
       VALUES (:session_id, :file_id, 'upload', :uploaded_at)`,
      { session_id, file_id, uploaded_at },
    );
  }
  // A database that AutoBot made has a trigger that has logged it already.
  const logged = db.get(`SELECT 1 FROM file_access_log WHERE file_id = :file_id AND access_type = 'upload'`, {
    file_id,
  });
  if (logged === undefined) {
    logAccess(db, 'upload', { fileId: file_id, by: uploaded_by, at: uploaded_at! }, { file_size, mime_type });
  }
}

/** Replaces an equal content, if there is one: the name says what is in it. */
function moveIntoStore(store: string, staged: string, hash: string): void {
  const target = join(store, contentPath(hash)!);
  const folder = dirname(target);
  if (mkdirSync(folder, { recursive: true, mode: 0o700 }) !== undefined) syncFolder(dirname(folder));
  renameSync(staged, target);
  syncFolder(folder);
}

function syncFolder(folder: string): void {
  const descriptor = openSync(folder, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
