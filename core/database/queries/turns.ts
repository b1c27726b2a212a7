import type { Connection } from '../connection.ts';
import { read, write } from '../query.ts';

/** A message as it is stored. */
export interface StoredMessage {
  readonly position: number;
  readonly turn_id: string;
  readonly role: string;
  readonly content: string;
  /** The whole message as JSON, when it is more than a role and a text. */
  readonly payload: string | null;
  readonly state: 'complete' | 'interrupted';
  readonly model: string | null;
  readonly created_at: string;
  /** Its size in a prompt, by the tokenizer that is named beside it; null when it was not counted. */
  readonly tokens: number | null;
  readonly tokenizer: string | null;
  /** Of an answer, as JSON: how much of the session the model was sent. */
  readonly context: string | null;
}

/** A message that is to be stored. */
export type NewMessage = Pick<
  StoredMessage,
  'role' | 'content' | 'payload' | 'tokens' | 'tokenizer' | 'context'
>;

/** One turn: everything that storing it needs. */
export interface StoredTurn {
  readonly turnId: string;
  readonly sessionId: string;
  /** For the chat that is made when the session has none. */
  readonly windowId: string;
  readonly caller: string | null;
  readonly model: string;
  /** The system prompt as JSON, when the request brought one. */
  readonly instructions: string | null;
  readonly input: readonly NewMessage[];
  readonly title: string | null;
  readonly startedAt: string;
  readonly idempotency: { readonly key: string; readonly requestHash: string } | null;
  /** An interrupted turn with the same idempotency key, which this one takes the place of. */
  readonly replaces: { readonly turnId: string; readonly firstPosition: number } | null;
}

/** What a turn needs to know of its session. */
export interface ChatState {
  readonly chatId: number;
  readonly windowId: string;
  readonly lastPosition: number;
  readonly lastTurn: string | null;
  readonly instructions: string | null;
  /** What the model made of the messages up to a position; null as long as all of them fit. */
  readonly summary: StoredSummary | null;
}

/** A rolling summary of the older messages of a chat. */
export interface StoredSummary {
  /** Position of the last message that it covers. */
  readonly upTo: number;
  readonly text: string;
}

/** What came of an earlier request with the same idempotency key. */
export interface EarlierTurn {
  readonly turnId: string;
  readonly requestHash: string;
  readonly firstPosition: number;
  readonly answer: StoredMessage;
}

/** The columns of a {@link StoredMessage}. */
export const messageColumns =
  'position, turn_id, role, content, payload, state, model, created_at, tokens, tokenizer, context';

function findChat(db: Connection, session: string): ChatState | undefined {
  const found = db.get<Omit<ChatState, 'summary'> & { upTo: number | null; summary: string | null }>(
    `SELECT c.chat_id AS chatId, window_id AS windowId, message_count AS lastPosition, last_turn AS lastTurn,
       instructions, up_to AS upTo, summary
     FROM chats c LEFT JOIN chat_summaries s ON s.chat_id = c.chat_id
     WHERE session_id = :session AND deleted_at IS NULL`,
    { session },
  );
  if (found === undefined) return undefined;
  const { upTo, summary, ...chat } = found;
  return { ...chat, summary: upTo === null || summary === null ? null : { upTo, text: summary } };
}

/** Stores a whole turn; its session's chat is made when there is none. */
function storeTurn(
  db: Connection,
  turn: StoredTurn,
  answer: NewMessage,
  state: StoredMessage['state'],
  now: string,
): { chat: ChatState; stored: StoredMessage[] } {
  let chat = findChat(db, turn.sessionId);
  if (chat === undefined) {
    const { lastInsertRowid: chatId } = db.run(
      `INSERT INTO chats (session_id, window_id, created_by, created_at, updated_at)
       VALUES (:session, :window, :caller, :started, :started)`,
      { session: turn.sessionId, window: turn.windowId, caller: turn.caller, started: turn.startedAt },
    );
    chat = {
      chatId,
      windowId: turn.windowId,
      lastPosition: 0,
      lastTurn: null,
      instructions: null,
      summary: null,
    };
  }
  let position = chat.lastPosition;
  if (turn.replaces !== null && turn.replaces.turnId === chat.lastTurn) {
    db.run('DELETE FROM messages WHERE chat_id = :chat AND position >= :first', {
      chat: chat.chatId,
      first: turn.replaces.firstPosition,
    });
    position = turn.replaces.firstPosition - 1;
    db.run('DELETE FROM chat_summaries WHERE chat_id = :chat AND up_to > :position', {
      chat: chat.chatId,
      position,
    });
  }
  const firstPosition = position + 1;
  const stored = [
    ...turn.input.map((message) => ({
      ...message,
      state: 'complete' as const,
      model: null,
      at: turn.startedAt,
    })),
    { ...answer, state, model: turn.model, at: now },
  ].map(({ at, ...message }): StoredMessage => {
    position++;
    // Null also in a turn that an older version has noted.
    const { tokens = null, tokenizer = null, context = null } = message;
    const row = { ...message, tokens, tokenizer, context, position, turn_id: turn.turnId, created_at: at };
    db.run(
      `INSERT INTO messages (chat_id, ${messageColumns})
       VALUES (:chat, :position, :turn_id, :role, :content, :payload, :state, :model, :created_at, :tokens,
         :tokenizer, :context)`,
      { chat: chat.chatId, ...row },
    );
    return row;
  });
  db.run(
    `UPDATE chats SET message_count = :position, last_turn = :turn, updated_at = :now, title = coalesce(title, :title),
       instructions = coalesce(:instructions, instructions)
     WHERE chat_id = :chat`,
    {
      chat: chat.chatId,
      position,
      turn: turn.turnId,
      now,
      title: turn.title,
      instructions: turn.instructions,
    },
  );
  if (turn.idempotency !== null) {
    db.run(
      `INSERT OR REPLACE INTO idempotent_turns
         (chat_id, idempotency_key, request_hash, turn_id, first_position, answer_position, created_at)
       VALUES (:chat, :key, :hash, :turn, :first, :answer, :now)`,
      {
        chat: chat.chatId,
        key: turn.idempotency.key,
        hash: turn.idempotency.requestHash,
        turn: turn.turnId,
        first: firstPosition,
        answer: position,
        now,
      },
    );
  }
  forget(db, turn.turnId);
  return { chat, stored };
}

function forget(db: Connection, turn: string): void {
  db.run('DELETE FROM open_turns WHERE turn_id = :turn', { turn });
}

/** Queries that a turn makes. */
export const turnQueries = {
  /** The state of a session, and what came of a request with the same idempotency key. */
  'turns.begin': read(
    (
      db,
      { sessionId, key }: { sessionId: string; key: string | null },
    ): { chat: ChatState; earlier: EarlierTurn | null } | null => {
      const chat = findChat(db, sessionId);
      if (chat === undefined) return null;
      if (key === null) return { chat, earlier: null };
      const turn = db.get<Omit<EarlierTurn, 'answer'> & { answerPosition: number }>(
        `SELECT turn_id AS turnId, request_hash AS requestHash, first_position AS firstPosition,
           answer_position AS answerPosition
         FROM idempotent_turns WHERE chat_id = :chat AND idempotency_key = :key`,
        { chat: chat.chatId, key },
      );
      const answer =
        turn &&
        db.get<StoredMessage>(
          `SELECT ${messageColumns} FROM messages
           WHERE chat_id = :chat AND position = :position AND turn_id = :turn`,
          { chat: chat.chatId, position: turn.answerPosition, turn: turn.turnId },
        );
      return { chat, earlier: turn && answer ? { ...turn, answer } : null };
    },
  ),

  /** The newest messages up to a position, the oldest first. */
  'turns.recent': read(
    (db, { chatId, upTo, limit }: { chatId: number; upTo: number; limit: number }): StoredMessage[] =>
      db
        .all<StoredMessage>(
          `SELECT ${messageColumns} FROM messages WHERE chat_id = :chatId AND position <= :upTo
           ORDER BY position DESC LIMIT :limit`,
          { chatId, upTo, limit },
        )
        .reverse(),
  ),

  /** Notes texts of streaming answers; the first of a turn brings the turn itself. */
  'turns.note': write(
    (
      db,
      notes: readonly { turnId: string; turn: StoredTurn | null; number: number; text: string }[],
    ): void => {
      for (const { turnId, turn, number, text } of notes) {
        if (turn !== null) {
          db.run('INSERT INTO open_turns (turn_id, turn) VALUES (:turnId, :turn)', {
            turnId,
            turn: JSON.stringify(turn),
          });
        }
        db.run('INSERT INTO open_turn_texts (turn_id, number, text) VALUES (:turnId, :number, :text)', {
          turnId,
          number,
          text,
        });
      }
    },
  ),

  /** Stores a turn that is over. */
  'turns.end': write(
    (
      db,
      args: { turn: StoredTurn; answer: NewMessage; state: StoredMessage['state']; now: string },
    ): { chat: ChatState; stored: StoredMessage[] } =>
      storeTurn(db, args.turn, args.answer, args.state, args.now),
  ),

  /** Stores, as interrupted, the answers that a crash cut off. Returns how many there were. */
  'turns.recover': write((db, { now }: { now: string }): number => {
    const turns = db.all<{ turn: string }>("SELECT turn FROM open_turns ORDER BY turn ->> 'startedAt'");
    for (const { turn: json } of turns) {
      const turn = JSON.parse(json) as StoredTurn;
      const texts = db.all<{ text: string }>(
        'SELECT text FROM open_turn_texts WHERE turn_id = :turn ORDER BY number',
        { turn: turn.turnId },
      );
      const content = texts.map(({ text }) => text).join('');
      const answer = {
        role: 'assistant',
        content,
        payload: null,
        tokens: null,
        tokenizer: null,
        context: null,
      };
      storeTurn(db, turn, answer, 'interrupted', now);
    }
    return turns.length;
  }),

  /** Keeps a summary, unless the chat has got further or was deleted meanwhile. */
  'turns.summarise': write(
    (db, args: { chatId: number; upTo: number; summary: string; model: string; now: string }): void => {
      db.run(
        `INSERT INTO chat_summaries (chat_id, up_to, summary, model, created_at)
         SELECT chat_id, :upTo, :summary, :model, :now FROM chats
         WHERE chat_id = :chatId AND deleted_at IS NULL AND message_count >= :upTo
         ON CONFLICT (chat_id) DO UPDATE SET up_to = excluded.up_to, summary = excluded.summary,
           model = excluded.model, created_at = excluded.created_at WHERE up_to < excluded.up_to`,
        args,
      );
    },
  ),

  /** Forgets idempotency keys from before a time. */
  'turns.forgetKeys': write(
    (db, { before }: { before: string }): number =>
      db.run('DELETE FROM idempotent_turns WHERE created_at < :before', { before }).changes,
  ),
} as const;
