import type { Connection, Parameters } from '../connection.ts';
import { read, write } from '../query.ts';

/** A row of conversation_files. Times are UTC; rows taken over from AutoBot have them as `YYYY-MM-DD HH:MM:SS`. */
export interface FileRow {
  readonly file_id: string;
  readonly session_id: string;
  readonly original_filename: string;
  readonly stored_filename: string;
  readonly file_path: string;
  readonly file_size: number;
  readonly file_hash: string;
  readonly mime_type: string | null;
  readonly uploaded_at: string | null;
  readonly uploaded_by: string | null;
  readonly is_deleted: 0 | 1;
  readonly deleted_at: string | null;
}

export type AccessType = 'upload' | 'download' | 'view' | 'delete' | 'restore';

/** Somebody did something to a file at a time (RFC 3339). */
export interface Access {
  readonly fileId: string;
  readonly by: string | null;
  readonly at: string;
}

export interface AccessRow {
  readonly log_id: number;
  readonly access_type: AccessType;
  readonly accessed_by: string | null;
  readonly accessed_at: string;
  readonly access_metadata: string | null;
}

/** Where a list goes on: after this file, to older ones. */
export interface FileCursor {
  readonly uploadedAt: string;
  readonly fileId: string;
}

export interface ListFiles {
  /** Only files uploaded to, copied to or referenced by this chat. */
  readonly sessionId?: string | undefined;
  /** Only files whose name or metadata values contain all of these, compared without case. */
  readonly words: readonly string[];
  readonly after?: FileCursor | undefined;
  readonly limit: number;
}

export function getFile(db: Connection, fileId: string): FileRow | undefined {
  return db.get<FileRow>('SELECT * FROM conversation_files WHERE file_id = :fileId', { fileId });
}

/** The file if it exists and is not deleted. */
export function getLiveFile(db: Connection, fileId: string): FileRow | undefined {
  const row = getFile(db, fileId);
  return row?.is_deleted === 1 ? undefined : row;
}

export function logAccess(db: Connection, type: AccessType, access: Access, details: object = {}): void {
  db.run(
    `INSERT INTO file_access_log (file_id, access_type, accessed_by, accessed_at, access_metadata)
     VALUES (:fileId, :type, :by, :at, :details)`,
    { fileId: access.fileId, by: access.by, at: access.at, type, details: JSON.stringify(details) },
  );
}

function listFiles(db: Connection, { sessionId, words, after, limit }: ListFiles): FileRow[] {
  const conditions = ['is_deleted = 0'];
  const parameters: Record<string, Parameters[string]> = { limit };
  if (sessionId !== undefined) {
    conditions.push(
      `file_id IN (SELECT file_id FROM conversation_files WHERE session_id = :sessionId
                   UNION SELECT file_id FROM session_file_associations WHERE session_id = :sessionId)`,
    );
    parameters.sessionId = sessionId;
  }
  if (words.length > 0) {
    conditions.push(
      `NOT EXISTS (SELECT 1 FROM json_each(:words) AS word WHERE instr(fold(original_filename), fold(word.value)) = 0
         AND NOT EXISTS (SELECT 1 FROM file_metadata AS meta
                         WHERE meta.file_id = conversation_files.file_id
                           AND instr(fold(meta.metadata_value), fold(word.value)) > 0))`,
    );
    parameters.words = JSON.stringify(words);
  }
  if (after !== undefined) {
    conditions.push(`(coalesce(uploaded_at, ''), file_id) < (:uploadedAt, :fileId)`);
    parameters.uploadedAt = after.uploadedAt;
    parameters.fileId = after.fileId;
  }
  return db.all<FileRow>(
    `SELECT * FROM conversation_files WHERE ${conditions.join(' AND ')}
     ORDER BY coalesce(uploaded_at, '') DESC, file_id DESC LIMIT :limit`,
    parameters,
  );
}

/** Marks a file as deleted and schedules the removal of its content. False when there was none. */
function deleteFile(db: Connection, access: Access, removeAt: string, reason: string): boolean {
  const row = getLiveFile(db, access.fileId);
  if (row === undefined) return false;
  const { fileId, at } = access;
  db.run('UPDATE conversation_files SET is_deleted = 1, deleted_at = :at WHERE file_id = :fileId', {
    at,
    fileId,
  });
  const { changes } = db.run(
    `UPDATE file_cleanup_queue SET scheduled_deletion_time = :removeAt, cleanup_reason = :reason
     WHERE file_id = :fileId AND is_processed = 0`,
    { fileId, removeAt, reason },
  );
  if (changes === 0) {
    db.run(
      `INSERT INTO file_cleanup_queue (file_id, session_id, scheduled_deletion_time, cleanup_reason)
       VALUES (:fileId, :sessionId, :removeAt, :reason)`,
      { fileId, sessionId: row.session_id, removeAt, reason },
    );
  }
  logAccess(db, 'delete', access, { reason });
  return true;
}

/** Queries about conversation files that touch rows only. */
export const fileQueries = {
  /** Also a deleted one. */
  'files.get': read((db, { fileId }: { fileId: string }) => getFile(db, fileId)),

  'files.list': read(listFiles),

  'files.rename': write(
    (db, { name, ...access }: Access & { readonly name: string }): FileRow | undefined => {
      const row = getLiveFile(db, access.fileId);
      if (row === undefined) return undefined;
      db.run('UPDATE conversation_files SET original_filename = :name WHERE file_id = :fileId', {
        fileId: row.file_id,
        name,
      });
      logAccess(db, 'view', access, { renamed_from: row.original_filename, renamed_to: name });
      return getFile(db, row.file_id);
    },
  ),

  'files.delete': write((db, { removeAt, ...access }: Access & { readonly removeAt: string }): boolean =>
    deleteFile(db, access, removeAt, 'user_request'),
  ),

  /** Deletes the files that only this chat has. Returns how many. */
  'files.deleteOfChat': write(
    (
      db,
      args: {
        readonly sessionId: string;
        readonly by: string | null;
        readonly at: string;
        readonly removeAt: string;
      },
    ): number => {
      const own = db.all<{ file_id: string }>(
        `SELECT file_id FROM conversation_files AS file WHERE session_id = :sessionId AND is_deleted = 0
           AND NOT EXISTS (SELECT 1 FROM session_file_associations AS other
                           WHERE other.file_id = file.file_id AND other.session_id <> :sessionId)`,
        { sessionId: args.sessionId },
      );
      for (const { file_id } of own) {
        deleteFile(db, { fileId: file_id, by: args.by, at: args.at }, args.removeAt, 'session_ended');
      }
      return own.length;
    },
  ),

  /** Undoes a delete as long as the content is there; undefined when there is nothing to restore. */
  'files.restore': write((db, access: Access): FileRow | undefined => {
    const row = getFile(db, access.fileId);
    if (row === undefined || row.is_deleted === 0 || isCleaned(db, row.file_id)) return undefined;
    db.run('UPDATE conversation_files SET is_deleted = 0, deleted_at = NULL WHERE file_id = :fileId', {
      fileId: row.file_id,
    });
    db.run('DELETE FROM file_cleanup_queue WHERE file_id = :fileId AND is_processed = 0', {
      fileId: row.file_id,
    });
    logAccess(db, 'restore', access);
    return getFile(db, row.file_id);
  }),

  'files.logAccess': write(
    (
      db,
      { type, details, ...access }: Access & { readonly type: AccessType; readonly details: object },
    ): void => logAccess(db, type, access, details),
  ),

  /** Newest first. */
  'files.accesses': read(
    (db, args: { readonly fileId: string; readonly before: number; readonly limit: number }): AccessRow[] =>
      db.all<AccessRow>(
        `SELECT log_id, access_type, accessed_by, accessed_at, access_metadata FROM file_access_log
         WHERE file_id = :fileId AND log_id < :before ORDER BY log_id DESC LIMIT :limit`,
        { ...args },
      ),
  ),

  'files.metadata': read((db, { fileId }: { fileId: string }): { key: string; value: string | null }[] =>
    db.all(
      `SELECT metadata_key AS key, metadata_value AS value FROM file_metadata
       WHERE file_id = :fileId ORDER BY metadata_key`,
      { fileId },
    ),
  ),

  /** Sets keys, and removes those whose value is null. False when the file does not exist. */
  'files.changeMetadata': write(
    (
      db,
      args: {
        readonly fileId: string;
        readonly at: string;
        readonly changes: Readonly<Record<string, string | null>>;
      },
    ): boolean => {
      if (getLiveFile(db, args.fileId) === undefined) return false;
      changeMetadata(db, args.fileId, args.at, args.changes);
      return true;
    },
  ),
};

export function changeMetadata(
  db: Connection,
  fileId: string,
  at: string,
  changes: Readonly<Record<string, string | null>>,
): void {
  for (const [key, value] of Object.entries(changes)) {
    if (value === null) {
      db.run('DELETE FROM file_metadata WHERE file_id = :fileId AND metadata_key = :key', { fileId, key });
    } else {
      db.run(
        `INSERT INTO file_metadata (file_id, metadata_key, metadata_value, created_at) VALUES (:fileId, :key, :value, :at)
         ON CONFLICT (file_id, metadata_key) DO UPDATE SET metadata_value = excluded.metadata_value`,
        { fileId, key, value, at },
      );
    }
  }
}

/** Whether the content of a deleted file may already be gone: it can't come back. */
function isCleaned(db: Connection, fileId: string): boolean {
  return (
    db.get('SELECT 1 FROM file_cleanup_queue WHERE file_id = :fileId AND is_processed = 1', { fileId }) !==
    undefined
  );
}
