import type { ExpressionBuilder } from 'kysely';
import type { Conversation, FoundMessage, SearchTerm, StoredMessage } from '../../terms/conversation.ts';
import { excerptOf } from '../../terms/excerpt.ts';
import { type Owner, unowned } from '../../terms/owner.ts';
import type { Connection } from '../connection.ts';
import { DatabaseError } from '../errors.ts';
import { read, slowRead, write } from '../query.ts';
import type { Tables } from '../tables.ts';
import { ownerColumns } from './owned.ts';
import { messageColumns } from './turns.ts';

/** Where a list of sessions goes on. */
export interface ConversationCursor {
  readonly updatedAt: string;
  readonly chatId: number;
}

const conversationColumns = [
  'session_id as id',
  'title',
  'created_by as createdBy',
  'created_at as createdAt',
  'updated_at as updatedAt',
  'message_count as messageCount',
] as const;

/** One session of one owner. */
interface Named {
  readonly owner: Owner;
  readonly session: string;
}

const isNamed =
  ({ owner, session }: Named) =>
  (where: ExpressionBuilder<Tables, 'chats'>) =>
    where.and([where.and({ ...ownerColumns(owner), session_id: session }), where('deleted_at', 'is', null)]);

function getConversation({ tables }: Connection, named: Named): Promise<Conversation | undefined> {
  return tables.selectFrom('chats').select(conversationColumns).where(isNamed(named)).executeTakeFirst();
}

/** Queries of the session API. `session` is the name that clients use; each is about the sessions of one owner. */
export const chatQueries = {
  /** Makes a chat; undefined when the session has one. */
  'chats.create': write(
    async (
      connection,
      chat: Named & { windowId: string; title: string | null; now: string },
    ): Promise<Conversation | undefined> => {
      const created = await connection.tables
        .insertInto('chats')
        .values({
          ...ownerColumns(chat.owner),
          session_id: chat.session,
          window_id: chat.windowId,
          title: chat.title,
          created_by: chat.owner.service === '' ? null : chat.owner.service,
          created_at: chat.now,
          updated_at: chat.now,
        })
        .onConflict((conflict) => conflict.doNothing())
        .returning('chat_id')
        .executeTakeFirst();
      return created === undefined ? undefined : getConversation(connection, chat);
    },
  ),

  'chats.get': read((connection, named: Named) => getConversation(connection, named)),

  /** The most lately changed first; `before` is the last row of the page before. */
  'chats.list': slowRead(
    (
      { tables },
      { owner, limit, before }: { owner: Owner; limit: number; before: ConversationCursor | null },
    ): Promise<(Conversation & { chatId: number })[]> => {
      let rows = tables
        .selectFrom('chats')
        .select([...conversationColumns, 'chat_id as chatId'])
        .where((where) => where.and(ownerColumns(owner)))
        .where('deleted_at', 'is', null);
      if (before !== null) {
        rows = rows.where((where) =>
          where(where.refTuple('updated_at', 'chat_id'), '<', where.tuple(before.updatedAt, before.chatId)),
        );
      }
      return rows.orderBy('updated_at', 'desc').orderBy('chat_id', 'desc').limit(limit).execute();
    },
  ),

  /** Messages after (or, newest first, before) a position; undefined when there is no such chat. */
  'chats.messages': slowRead(
    async (
      { tables },
      page: Named & { limit: number; from: number | null; newestFirst: boolean },
    ): Promise<StoredMessage[] | undefined> => {
      const chat = await tables.selectFrom('chats').select('chat_id').where(isNamed(page)).executeTakeFirst();
      if (chat === undefined) return undefined;
      let rows = tables.selectFrom('messages').select(messageColumns).where('chat_id', '=', chat.chat_id);
      if (page.from !== null) rows = rows.where('position', page.newestFirst ? '<' : '>', page.from);
      return rows
        .orderBy('position', page.newestFirst ? 'desc' : 'asc')
        .limit(page.limit)
        .execute();
    },
  ),

  'chats.rename': write(
    async (
      connection,
      { title, now, ...named }: Named & { title: string; now: string },
    ): Promise<Conversation | undefined> => {
      await connection.tables
        .updateTable('chats')
        .set({ title, updated_at: now })
        .where(isNamed(named))
        .execute();
      return getConversation(connection, named);
    },
  ),

  /** Gives an unowned session, and the files that were uploaded to it, an owner. Undefined when there is none. */
  'chats.claim': write(
    async (connection, { owner, session }: Named): Promise<Conversation | 'exists' | undefined> => {
      if ((await getConversation(connection, { owner, session })) !== undefined) return 'exists';
      const { tables } = connection;
      const { numUpdatedRows } = await tables
        .updateTable('chats')
        .set(ownerColumns(owner))
        .where(isNamed({ owner: unowned, session }))
        .executeTakeFirstOrThrow();
      if (numUpdatedRows === 0n) return undefined;
      await tables
        .updateTable('conversation_files')
        .set(ownerColumns(owner))
        .where((where) => where.and({ ...ownerColumns(unowned), session_id: session }))
        .execute();
      return getConversation(connection, { owner, session });
    },
  ),

  /** Hides a chat at once; `chats.purge` removes its rows. Undefined when there is no such chat. */
  'chats.delete': write(
    ({ tables }, { now, ...named }: Named & { now: string }): Promise<{ windowId: string } | undefined> =>
      tables
        .updateTable('chats')
        .set({ deleted_at: now })
        .where(isNamed(named))
        .returning('window_id as windowId')
        .executeTakeFirst(),
  ),

  /** Removes up to `limit` messages of deleted chats, or one chat that has none left. False when nothing is left to do. */
  'chats.purge': write(async ({ tables }, { limit }: { limit: number }): Promise<boolean> => {
    const chat = await tables
      .selectFrom('chats')
      .select('chat_id')
      .where('deleted_at', 'is not', null)
      .orderBy('chat_id')
      .limit(1)
      .executeTakeFirst();
    if (chat === undefined) return false;
    const { numDeletedRows } = await tables
      .deleteFrom('messages')
      .where('message_id', 'in', (from) =>
        from
          .selectFrom('messages')
          .select('message_id')
          .where('chat_id', '=', chat.chat_id)
          .orderBy('position')
          .limit(limit),
      )
      .executeTakeFirstOrThrow();
    if (Number(numDeletedRows) < limit) {
      await tables.deleteFrom('chats').where('chat_id', '=', chat.chat_id).execute();
    }
    return true;
  }),

  /** Messages that have all of the terms, the newest first. */
  'chats.search': slowRead(
    async (
      { tables, syntax },
      args: {
        owner: Owner;
        terms: readonly SearchTerm[];
        session: string | null;
        before: number | null;
        limit: number;
      },
    ): Promise<FoundMessage[]> => {
      if (args.terms.length === 0) throw new DatabaseError('database-failed', 'chats.search: found no term');
      let rows = tables
        .selectFrom('messages_search')
        .innerJoin('messages', 'messages.message_id', 'messages_search.rowid')
        .innerJoin('chats', 'chats.chat_id', 'messages.chat_id')
        .select([
          'messages.message_id as messageId',
          'chats.session_id as sessionId',
          'chats.title',
          'messages.position',
          'messages.role',
          'messages.content',
          'messages.created_at as createdAt',
        ])
        .where(syntax.matches(args.terms))
        .where(syntax.withinDeadline('messages_search.rowid'))
        .where('chats.owner_service', '=', args.owner.service)
        .where('chats.owner_user', '=', args.owner.user)
        .where('chats.deleted_at', 'is', null);
      if (args.before !== null) rows = rows.where('messages_search.rowid', '<', args.before);
      if (args.session !== null) rows = rows.where('chats.session_id', '=', args.session);
      const found = await rows.orderBy('messages_search.rowid', 'desc').limit(args.limit).execute();
      return found.map(({ content, ...message }) => ({
        ...message,
        excerpt: excerptOf(content, args.terms),
      }));
    },
  ),
} as const;
