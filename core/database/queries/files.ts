import { sql } from 'kysely';
import type { AccessType, ConversationFile, FileAccess, FileCursor } from '../../terms/file.ts';
import type { Owner } from '../../terms/owner.ts';
import type { Connection } from '../connection.ts';
import { read, slowRead, write } from '../query.ts';
import { ownerColumns } from './owned.ts';

/** Somebody does something to a file of an owner at a time (RFC 3339). */
export interface Access {
  readonly owner: Owner;
  readonly fileId: string;
  readonly by: string | null;
  readonly at: string;
}

export interface ListFiles {
  readonly owner: Owner;
  /** Only files uploaded to, copied to or referenced by this chat. */
  readonly sessionId?: string | undefined;
  /** Only files whose name or metadata values contain all of these, compared without case. */
  readonly words: readonly string[];
  readonly after?: FileCursor | undefined;
  readonly limit: number;
}

/** Files with the place of their content, as {@link toFile} reads them. */
function selectFiles({ tables }: Connection) {
  return tables
    .selectFrom('conversation_files as file')
    .leftJoin('contents', 'contents.sha256', 'file.file_hash')
    .selectAll('file')
    .select('contents.place');
}

type FileRow = Awaited<ReturnType<ReturnType<typeof selectFiles>['executeTakeFirstOrThrow']>>;

function toFile(row: FileRow): ConversationFile {
  return {
    id: row.file_id,
    owner: { service: row.owner_service, user: row.owner_user },
    sessionId: row.session_id,
    name: row.original_filename,
    size: row.file_size,
    sha256: row.file_hash,
    mimeType: row.mime_type,
    uploadedAt: row.uploaded_at,
    uploadedBy: row.uploaded_by,
    deletedAt: row.deleted_at,
    isDeleted: row.is_deleted === 1,
    place: row.place,
    legacy: { path: row.file_path, storedName: row.stored_filename },
  };
}

/** Also a deleted one. */
export async function getFile(
  connection: Connection,
  { owner, fileId }: Pick<Access, 'owner' | 'fileId'>,
): Promise<ConversationFile | undefined> {
  const row = await selectFiles(connection)
    .where('file.file_id', '=', fileId)
    .where('file.owner_service', '=', owner.service)
    .where('file.owner_user', '=', owner.user)
    .executeTakeFirst();
  return row && toFile(row);
}

/** The file if it exists and is not deleted. */
export async function getLiveFile(
  connection: Connection,
  named: Pick<Access, 'owner' | 'fileId'>,
): Promise<ConversationFile | undefined> {
  const file = await getFile(connection, named);
  return file?.isDeleted ? undefined : file;
}

export async function logAccess(
  { tables }: Connection,
  type: AccessType,
  access: Pick<Access, 'fileId' | 'by' | 'at'>,
  details: object = {},
): Promise<void> {
  await tables
    .insertInto('file_access_log')
    .values({
      file_id: access.fileId,
      access_type: type,
      accessed_by: access.by,
      accessed_at: access.at,
      access_metadata: JSON.stringify(details),
    })
    .execute();
}

async function listFiles(
  connection: Connection,
  { owner, sessionId, words, after, limit }: ListFiles,
): Promise<ConversationFile[]> {
  let rows = selectFiles(connection)
    .where('file.is_deleted', '=', 0)
    .where('file.owner_service', '=', owner.service)
    .where('file.owner_user', '=', owner.user)
    .where(connection.syntax.withinDeadline('file.file_id'));
  if (sessionId !== undefined) {
    rows = rows.where((where) =>
      where.or([
        where('file.session_id', '=', sessionId),
        where.exists(
          where
            .selectFrom('session_file_associations as association')
            .select('association.file_id')
            .whereRef('association.file_id', '=', 'file.file_id')
            .where('association.session_id', '=', sessionId),
        ),
      ]),
    );
  }
  for (const word of words) {
    rows = rows.where((where) =>
      where.or([
        sql<boolean>`instr(fold(${sql.ref('file.original_filename')}), fold(${word})) > 0`,
        where.exists(
          where
            .selectFrom('file_metadata as meta')
            .select('meta.file_id')
            .whereRef('meta.file_id', '=', 'file.file_id')
            .where(sql<boolean>`instr(fold(${sql.ref('meta.metadata_value')}), fold(${word})) > 0`),
        ),
      ]),
    );
  }
  const uploadedAt = sql<string>`coalesce(${sql.ref('file.uploaded_at')}, '')`;
  if (after !== undefined) {
    rows = rows.where(
      sql<boolean>`(${uploadedAt}, ${sql.ref('file.file_id')}) < (${after.uploadedAt}, ${after.id})`,
    );
  }
  const found = await rows.orderBy(uploadedAt, 'desc').orderBy('file.file_id', 'desc').limit(limit).execute();
  return found.map(toFile);
}

/** Marks a file as deleted and schedules the removal of its content. False when there was none. */
async function deleteFile(
  connection: Connection,
  access: Access,
  removeAt: string,
  reason: 'user_request' | 'session_ended',
): Promise<boolean> {
  const { tables } = connection;
  const file = await tables
    .updateTable('conversation_files')
    .set({ is_deleted: 1, deleted_at: access.at })
    .where((where) => where.and({ ...ownerColumns(access.owner), file_id: access.fileId, is_deleted: 0 }))
    .returning('session_id')
    .executeTakeFirst();
  if (file === undefined) return false;
  const { numUpdatedRows } = await tables
    .updateTable('file_cleanup_queue')
    .set({ scheduled_deletion_time: removeAt, cleanup_reason: reason })
    .where((where) => where.and({ file_id: access.fileId, is_processed: 0 }))
    .executeTakeFirstOrThrow();
  if (numUpdatedRows === 0n) {
    await tables
      .insertInto('file_cleanup_queue')
      .values({
        file_id: access.fileId,
        session_id: file.session_id,
        scheduled_deletion_time: removeAt,
        cleanup_reason: reason,
      })
      .execute();
  }
  await logAccess(connection, 'delete', access, { reason });
  return true;
}

/** Whether the content of a deleted file may already be gone: it can't come back. */
async function isCleaned({ tables }: Connection, fileId: string): Promise<boolean> {
  const done = await tables
    .selectFrom('file_cleanup_queue')
    .select('cleanup_id')
    .where((where) => where.and({ file_id: fileId, is_processed: 1 }))
    .executeTakeFirst();
  return done !== undefined;
}

export async function changeMetadata(
  { tables }: Connection,
  fileId: string,
  at: string,
  changes: Readonly<Record<string, string | null>>,
): Promise<void> {
  for (const [key, value] of Object.entries(changes)) {
    if (value === null) {
      await tables
        .deleteFrom('file_metadata')
        .where((where) => where.and({ file_id: fileId, metadata_key: key }))
        .execute();
    } else {
      await tables
        .insertInto('file_metadata')
        .values({ file_id: fileId, metadata_key: key, metadata_value: value, created_at: at })
        .onConflict((conflict) =>
          conflict.columns(['file_id', 'metadata_key']).doUpdateSet({ metadata_value: value }),
        )
        .execute();
    }
  }
}

/** Queries about conversation files that leave their contents where they are. */
export const fileQueries = {
  /** Also a deleted one. */
  'files.get': read((connection, named: Pick<Access, 'owner' | 'fileId'>) => getFile(connection, named)),

  'files.list': slowRead(listFiles),

  'files.rename': write(
    async (
      connection,
      { name, ...access }: Access & { readonly name: string },
    ): Promise<ConversationFile | undefined> => {
      const file = await getLiveFile(connection, access);
      if (file === undefined) return undefined;
      await connection.tables
        .updateTable('conversation_files')
        .set({ original_filename: name })
        .where('file_id', '=', file.id)
        .execute();
      await logAccess(connection, 'view', access, { renamed_from: file.name, renamed_to: name });
      return getFile(connection, access);
    },
  ),

  'files.delete': write((connection, { removeAt, ...access }: Access & { readonly removeAt: string }) =>
    deleteFile(connection, access, removeAt, 'user_request'),
  ),

  /** Deletes the files that only this chat has. Returns how many. */
  'files.deleteOfChat': write(
    async (
      connection,
      args: Pick<Access, 'owner' | 'by' | 'at'> & {
        readonly sessionId: string;
        readonly removeAt: string;
      },
    ): Promise<number> => {
      const own = await connection.tables
        .selectFrom('conversation_files as file')
        .select('file.file_id')
        .where((where) =>
          where.and({
            'file.owner_service': args.owner.service,
            'file.owner_user': args.owner.user,
            'file.session_id': args.sessionId,
            'file.is_deleted': 0,
          }),
        )
        .where((where) =>
          where.not(
            where.exists(
              where
                .selectFrom('session_file_associations as other')
                .select('other.file_id')
                .whereRef('other.file_id', '=', 'file.file_id')
                .where('other.session_id', '<>', args.sessionId),
            ),
          ),
        )
        .execute();
      for (const { file_id: fileId } of own) {
        await deleteFile(connection, { ...args, fileId }, args.removeAt, 'session_ended');
      }
      return own.length;
    },
  ),

  /** Undoes a delete as long as the content is there; undefined when there is nothing to restore. */
  'files.restore': write(async (connection, access: Access): Promise<ConversationFile | undefined> => {
    const { tables } = connection;
    const { numUpdatedRows } = await tables
      .updateTable('conversation_files')
      .set({ is_deleted: 0, deleted_at: null })
      .where((where) => where.and({ ...ownerColumns(access.owner), file_id: access.fileId, is_deleted: 1 }))
      .where((where) =>
        where.not(
          where.exists(
            where
              .selectFrom('file_cleanup_queue as cleanup')
              .select('cleanup.cleanup_id')
              .whereRef('cleanup.file_id', '=', 'conversation_files.file_id')
              .where('cleanup.is_processed', '=', 1),
          ),
        ),
      )
      .executeTakeFirstOrThrow();
    if (numUpdatedRows === 0n || (await isCleaned(connection, access.fileId))) return undefined;
    await tables
      .deleteFrom('file_cleanup_queue')
      .where((where) => where.and({ file_id: access.fileId, is_processed: 0 }))
      .execute();
    await logAccess(connection, 'restore', access);
    return getFile(connection, access);
  }),

  'files.logAccess': write(
    async (
      connection,
      {
        type,
        details,
        ...access
      }: Omit<Access, 'owner'> & { readonly type: AccessType; readonly details: object },
    ): Promise<void> => logAccess(connection, type, access, details),
  ),

  /** Newest first. */
  'files.accesses': read(
    async (
      { tables },
      args: { readonly fileId: string; readonly before: number; readonly limit: number },
    ): Promise<FileAccess[]> => {
      const rows = await tables
        .selectFrom('file_access_log')
        .select([
          'log_id as logId',
          'access_type as type',
          'accessed_by as by',
          'accessed_at as at',
          'access_metadata as details',
        ])
        .where('file_id', '=', args.fileId)
        .where('log_id', '<', args.before)
        .orderBy('log_id', 'desc')
        .limit(args.limit)
        .execute();
      return rows.map((row) => ({ ...row, type: row.type as AccessType, at: row.at ?? '' }));
    },
  ),

  'files.metadata': read(
    ({ tables }, { fileId }: { fileId: string }): Promise<{ key: string; value: string | null }[]> =>
      tables
        .selectFrom('file_metadata')
        .select(['metadata_key as key', 'metadata_value as value'])
        .where('file_id', '=', fileId)
        .orderBy('metadata_key')
        .execute(),
  ),

  /** Sets keys, and removes those whose value is null. False when the file does not exist. */
  'files.changeMetadata': write(
    async (
      connection,
      args: Pick<Access, 'owner' | 'fileId' | 'at'> & {
        readonly changes: Readonly<Record<string, string | null>>;
      },
    ): Promise<boolean> => {
      if ((await getLiveFile(connection, args)) === undefined) return false;
      await changeMetadata(connection, args.fileId, args.at, args.changes);
      return true;
    },
  ),

  /** Bytes of the files of a calling service that are not deleted. */
  'files.storedBytes': read(async ({ tables }, { service }: { service: string }): Promise<number> => {
    const { bytes } = await tables
      .selectFrom('conversation_files')
      .select((column) => column.fn.sum<number | null>('file_size').as('bytes'))
      .where((where) => where.and({ owner_service: service, is_deleted: 0 }))
      .executeTakeFirstOrThrow();
    return Number(bytes ?? 0);
  }),
} as const;
