import type { Connection } from '../connection.ts';
import { read, write } from '../query.ts';
import { messageColumns, type StoredMessage } from './turns.ts';

/** A chat as the session API shows it. */
export interface ChatRow {
  readonly id: string;
  readonly title: string | null;
  readonly created_by: string | null;
  readonly created_at: string;
  readonly updated_at: string;
  readonly message_count: number;
}

/** A message that a search has found. */
export interface FoundMessage {
  readonly message_id: number;
  readonly session_id: string;
  readonly title: string | null;
  readonly position: number;
  readonly role: string;
  /** An excerpt with the found words between `[` and `]`. */
  readonly excerpt: string;
  readonly created_at: string;
}

const chatColumns = 'session_id AS id, title, created_by, created_at, updated_at, message_count';

function getChat(db: Connection, session: string): ChatRow | undefined {
  return db.get<ChatRow>(
    `SELECT ${chatColumns} FROM chats WHERE session_id = :session AND deleted_at IS NULL`,
    { session },
  );
}

/** Queries of the session API. `session` is the name that clients use. */
export const chatQueries = {
  /** Makes a chat; undefined when the session has one. */
  'chats.create': write(
    (
      db,
      chat: { session: string; windowId: string; title: string | null; caller: string | null; now: string },
    ): ChatRow | undefined => {
      const { changes } = db.run(
        `INSERT OR IGNORE INTO chats (session_id, window_id, title, created_by, created_at, updated_at)
         VALUES (:session, :windowId, :title, :caller, :now, :now)`,
        chat,
      );
      return changes === 0 ? undefined : getChat(db, chat.session);
    },
  ),

  'chats.get': read((db, { session }: { session: string }) => getChat(db, session)),

  /** The most lately changed first; `before` is the last row of the page before. */
  'chats.list': read(
    (
      db,
      { limit, before }: { limit: number; before: { updatedAt: string; chatId: number } | null },
    ): (ChatRow & { chat_id: number })[] =>
      db.all(
        `SELECT ${chatColumns}, chat_id FROM chats WHERE deleted_at IS NULL
           AND (updated_at, chat_id) < (:updatedAt, :chatId)
         ORDER BY updated_at DESC, chat_id DESC LIMIT :limit`,
        {
          limit,
          updatedAt: before?.updatedAt ?? '9999',
          chatId: before?.chatId ?? Number.MAX_SAFE_INTEGER,
        },
      ),
  ),

  /** Messages after (or, newest first, before) a position; undefined when there is no such chat. */
  'chats.messages': read(
    (
      db,
      {
        session,
        limit,
        from,
        newestFirst,
      }: { session: string; limit: number; from: number | null; newestFirst: boolean },
    ): StoredMessage[] | undefined => {
      const chat = db.get<{ chat_id: number }>(
        'SELECT chat_id FROM chats WHERE session_id = :session AND deleted_at IS NULL',
        { session },
      );
      if (chat === undefined) return undefined;
      const [comparison, order, start] = newestFirst
        ? ['<', 'DESC', Number.MAX_SAFE_INTEGER]
        : ['>', 'ASC', 0];
      return db.all<StoredMessage>(
        `SELECT ${messageColumns} FROM messages
         WHERE chat_id = :chat AND position ${comparison} :from ORDER BY position ${order} LIMIT :limit`,
        { chat: chat.chat_id, from: from ?? start, limit },
      );
    },
  ),

  'chats.rename': write(
    (db, { session, title, now }: { session: string; title: string; now: string }): ChatRow | undefined => {
      db.run(
        'UPDATE chats SET title = :title, updated_at = :now WHERE session_id = :session AND deleted_at IS NULL',
        { session, title, now },
      );
      return getChat(db, session);
    },
  ),

  /** Hides a chat at once; `chats.purge` removes its rows. Undefined when there is no such chat. */
  'chats.delete': write(
    (db, { session, now }: { session: string; now: string }): { windowId: string } | undefined =>
      db.get<{ windowId: string }>(
        `UPDATE chats SET deleted_at = :now WHERE session_id = :session AND deleted_at IS NULL
         RETURNING window_id AS windowId`,
        { session, now },
      ),
  ),

  /** Removes up to `limit` messages of deleted chats, or one chat that has none left. False when nothing is left to do. */
  'chats.purge': write((db, { limit }: { limit: number }): boolean => {
    const chat = db.get<{ chat_id: number }>(
      'SELECT chat_id FROM chats WHERE deleted_at IS NOT NULL ORDER BY chat_id LIMIT 1',
    );
    if (chat === undefined) return false;
    const { changes } = db.run(
      `DELETE FROM messages WHERE message_id IN
         (SELECT message_id FROM messages WHERE chat_id = :chat ORDER BY position LIMIT :limit)`,
      { chat: chat.chat_id, limit },
    );
    if (changes < limit) db.run('DELETE FROM chats WHERE chat_id = :chat', { chat: chat.chat_id });
    return true;
  }),

  /** Messages that match an FTS5 expression, the newest first. */
  'chats.search': read(
    (
      db,
      {
        match,
        session,
        before,
        limit,
      }: { match: string; session: string | null; before: number | null; limit: number },
    ): FoundMessage[] =>
      db.all<FoundMessage>(
        `SELECT m.message_id, c.session_id, c.title, m.position, m.role,
           snippet(messages_search, 0, '[', ']', '…', 24) AS excerpt, m.created_at
         FROM messages_search s JOIN messages m ON m.message_id = s.rowid JOIN chats c ON c.chat_id = m.chat_id
         WHERE messages_search MATCH :match AND s.rowid < :before AND c.deleted_at IS NULL
           AND (:session IS NULL OR c.session_id = :session)
         ORDER BY s.rowid DESC LIMIT :limit`,
        { match, session, before: before ?? Number.MAX_SAFE_INTEGER, limit },
      ),
  ),
} as const;
