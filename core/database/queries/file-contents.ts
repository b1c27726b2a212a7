import type { ConversationFile, NewFile, StagedContent } from '../../terms/file.ts';
import type { Owner } from '../../terms/owner.ts';
import type { Connection } from '../connection.ts';
import { read, write } from '../query.ts';
import { type Access, changeMetadata, getFile, getLiveFile, logAccess } from './files.ts';
import { ownerColumns } from './owned.ts';

/**
 * Queries that say which contents files have. A content is in the store before a row names its place, and its row goes
 * before it does; places are never used twice. So no lock reaches from the database to the store: what a crash leaves
 * between the two is a content that no row names.
 */
export const fileContentQueries = {
  /** All of them, or none. With each file comes the place of its content: an earlier one, when an equal content was there. */
  'files.add': write(
    async (
      connection,
      args: {
        readonly owner: Owner;
        readonly files: readonly NewFile[];
        readonly by: string | null;
        readonly at: string;
      },
    ): Promise<ConversationFile[]> => {
      const added: ConversationFile[] = [];
      for (const file of args.files) {
        await keepContent(connection, file.content);
        await insertFile(connection, {
          owner: args.owner,
          fileId: file.id,
          sessionId: file.sessionId,
          name: file.name,
          size: file.content.size,
          sha256: file.content.sha256,
          mimeType: file.mimeType,
          at: args.at,
          by: args.by,
        });
        await changeMetadata(connection, file.id, args.at, file.metadata);
        added.push((await getFile(connection, { owner: args.owner, fileId: file.id }))!);
      }
      return added;
    },
  ),

  /** A second file with the same content; undefined when there is no such file, or its content is missing. */
  'files.copy': write(
    async (
      connection,
      {
        newId,
        sessionId,
        name,
        ...access
      }: Access & {
        readonly newId: string;
        readonly sessionId?: string | undefined;
        readonly name?: string | undefined;
      },
    ): Promise<ConversationFile | undefined> => {
      const source = await getLiveFile(connection, access);
      if (source === undefined || source.place === null) return undefined;
      const { sha256, size, place } = source;
      await keepContent(connection, { sha256, size, place });
      await insertFile(connection, {
        ...access,
        fileId: newId,
        sessionId: sessionId ?? source.sessionId,
        name: name ?? source.name,
        size,
        sha256,
        mimeType: source.mimeType,
      });
      const metadata = await connection.tables
        .selectFrom('file_metadata')
        .select(['metadata_key', 'metadata_value'])
        .where('file_id', '=', source.id)
        .execute();
      if (metadata.length > 0) {
        await connection.tables
          .insertInto('file_metadata')
          .values(metadata.map((entry) => ({ ...entry, file_id: newId, created_at: access.at })))
          .execute();
      }
      await logAccess(connection, 'view', access, { copied_to: newId });
      return getFile(connection, { owner: access.owner, fileId: newId });
    },
  ),

  /** Keeps a content that AutoBot stored, or one in a better place than the one before. Returns its place. */
  'contents.keep': write(
    async (
      connection,
      { content, instead }: { readonly content: StagedContent; readonly instead: string | null },
    ): Promise<string> => {
      if (instead !== null) {
        await connection.tables
          .updateTable('contents')
          .set({ place: content.place })
          .where('sha256', '=', content.sha256)
          .where('place', '=', instead)
          .execute();
      }
      return keepContent(connection, content);
    },
  ),

  /**
   * Settles clean-ups that are due for files that are deleted; a pending one of a file in use waits until it is deleted. The
   * rows stay, as the record of what was there. Returns the hashes whose contents may now be unused.
   */
  'files.clean': write(
    async (
      { tables },
      { now, limit }: { readonly now: string; readonly limit: number },
    ): Promise<string[]> => {
      const due = await tables
        .selectFrom('file_cleanup_queue as cleanup')
        .innerJoin('conversation_files as file', 'file.file_id', 'cleanup.file_id')
        .select(['cleanup.cleanup_id', 'file.file_hash'])
        .where('cleanup.is_processed', '=', 0)
        .where('file.is_deleted', '=', 1)
        // AutoBot has written blanks where RFC 3339 has a T; such a time sorts before every time of its second.
        .where((where) =>
          where(
            where.fn<string>('replace', ['cleanup.scheduled_deletion_time', where.val(' '), where.val('T')]),
            '<=',
            now,
          ),
        )
        .orderBy('cleanup.cleanup_id')
        .limit(limit)
        .execute();
      for (const { cleanup_id } of due) {
        await tables
          .updateTable('file_cleanup_queue')
          .set({ is_processed: 1, processed_at: now })
          .where('cleanup_id', '=', cleanup_id)
          .execute();
      }
      return due.map((row) => row.file_hash);
    },
  ),

  /** Strikes off those of the contents that no file needs any more. Returns their places, for the store to remove. */
  'contents.drop': write(
    async ({ tables }, { hashes }: { readonly hashes: readonly string[] }): Promise<string[]> => {
      const places: string[] = [];
      for (const sha256 of hashes) {
        // Locks the content; what adds a file with it keeps it first, and waits.
        await tables
          .updateTable('contents')
          .set((column) => ({ size: column.ref('size') }))
          .where('sha256', '=', sha256)
          .execute();
        const needed = await tables
          .selectFrom('conversation_files as file')
          .select('file.file_id')
          .where('file.file_hash', '=', sha256)
          .where((where) =>
            where.or([
              where('file.is_deleted', '=', 0),
              where.not(
                where.exists(
                  where
                    .selectFrom('file_cleanup_queue as cleanup')
                    .select('cleanup.cleanup_id')
                    .whereRef('cleanup.file_id', '=', 'file.file_id')
                    .where('cleanup.is_processed', '=', 1),
                ),
              ),
            ]),
          )
          .executeTakeFirst();
        if (needed !== undefined) continue;
        const dropped = await tables
          .deleteFrom('contents')
          .where('sha256', '=', sha256)
          .returning('place')
          .executeTakeFirst();
        if (dropped !== undefined) places.push(dropped.place);
      }
      return places;
    },
  ),

  /** Hashes of contents after one, in order: for a pass over all of them. */
  'contents.hashes': read(
    async (
      { tables },
      { after, limit }: { readonly after: string; readonly limit: number },
    ): Promise<string[]> => {
      const rows = await tables
        .selectFrom('contents')
        .select('sha256')
        .where('sha256', '>', after)
        .orderBy('sha256')
        .limit(limit)
        .execute();
      return rows.map(({ sha256 }) => sha256);
    },
  ),

  /** Those of the places that no content has. */
  'contents.unknown': read(
    async ({ tables }, { places }: { readonly places: readonly string[] }): Promise<string[]> => {
      if (places.length === 0) return [];
      const known = await tables
        .selectFrom('contents')
        .select('place')
        .where('place', 'in', places)
        .execute();
      const names = new Set(known.map(({ place }) => place));
      return places.filter((place) => !names.has(place));
    },
  ),
} as const;

/** Makes sure that a content has a row, and locks it until the end of the write. Returns its place. */
async function keepContent({ tables }: Connection, content: StagedContent): Promise<string> {
  const { place } = await tables
    .insertInto('contents')
    .values({ sha256: content.sha256, place: content.place, size: content.size })
    .onConflict((conflict) => conflict.column('sha256').doUpdateSet({ size: content.size }))
    .returning('place')
    .executeTakeFirstOrThrow();
  return place;
}

interface FileToInsert extends Access {
  readonly sessionId: string;
  readonly name: string;
  readonly size: number;
  readonly sha256: string;
  readonly mimeType: string | null;
}

async function insertFile(connection: Connection, file: FileToInsert): Promise<void> {
  const { tables } = connection;
  await tables
    .insertInto('conversation_files')
    .values({
      ...ownerColumns(file.owner),
      file_id: file.fileId,
      session_id: file.sessionId,
      original_filename: file.name,
      stored_filename: file.fileId,
      file_path: file.sha256,
      file_size: file.size,
      file_hash: file.sha256,
      mime_type: file.mimeType,
      uploaded_at: file.at,
      uploaded_by: file.by,
      is_deleted: 0,
      deleted_at: null,
    })
    .execute();
  if (file.sessionId !== '') {
    await tables
      .insertInto('session_file_associations')
      .values({
        session_id: file.sessionId,
        file_id: file.fileId,
        association_type: 'upload',
        associated_at: file.at,
      })
      .execute();
  }
  // A database that AutoBot made has a trigger that has logged it already.
  const logged = await tables
    .selectFrom('file_access_log')
    .select('log_id')
    .where((where) => where.and({ file_id: file.fileId, access_type: 'upload' }))
    .executeTakeFirst();
  if (logged === undefined) {
    await logAccess(connection, 'upload', file, { file_size: file.size, mime_type: file.mimeType });
  }
}
