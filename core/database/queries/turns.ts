import { sql } from 'kysely';
import type {
  AdmittedTurn,
  ChatState,
  EarlierTurn,
  NewMessage,
  StoredMessage,
  StoredTurn,
} from '../../terms/conversation.ts';
import type { Owner } from '../../terms/owner.ts';
import { wordsOf } from '../../terms/words.ts';
import type { Connection } from '../connection.ts';
import { DatabaseError } from '../errors.ts';
import { briefWrite, read, write } from '../query.ts';
import { ownerColumns } from './owned.ts';

/** A turn in line for its session. */
export interface TurnTicket {
  readonly owner: Owner;
  readonly sessionId: string;
  readonly coreId: string;
  readonly idempotencyKey: string | null;
}

/** The columns of a message, by the names of {@link StoredMessage}. */
export const messageColumns = [
  'position',
  'turn_id as turnId',
  'role',
  'content',
  'payload',
  'state',
  'model',
  'created_at as createdAt',
  'tokens',
  'tokenizer',
  'context',
] as const;

/** One insert has at most so many rows: both engines limit the parameters of a statement. */
const rowsPerInsert = 500;

async function findChat(
  { tables }: Connection,
  owner: Owner,
  sessionId: string,
): Promise<ChatState | undefined> {
  const found = await tables
    .selectFrom('chats as chat')
    .leftJoin('chat_summaries as summary', 'summary.chat_id', 'chat.chat_id')
    .select([
      'chat.chat_id as chatId',
      'chat.window_id as windowId',
      'chat.message_count as lastPosition',
      'chat.last_epoch as lastEpoch',
      'chat.instructions',
      'summary.up_to as upTo',
      'summary.summary',
    ])
    .where('chat.owner_service', '=', owner.service)
    .where('chat.owner_user', '=', owner.user)
    .where('chat.session_id', '=', sessionId)
    .where('chat.deleted_at', 'is', null)
    .executeTakeFirst();
  if (found === undefined) return undefined;
  const { upTo, summary, ...chat } = found;
  return { ...chat, summary: upTo === null || summary === null ? null : { upTo, text: summary } };
}

/** What a turn that may run starts from. */
async function recall(connection: Connection, ticket: TurnTicket): Promise<AdmittedTurn> {
  const chat = await findChat(connection, ticket.owner, ticket.sessionId);
  if (chat === undefined) return { chat: null, earlier: null };
  if (ticket.idempotencyKey === null) return { chat, earlier: null };
  return { chat, earlier: await findEarlier(connection, chat.chatId, ticket.idempotencyKey) };
}

async function findEarlier({ tables }: Connection, chatId: number, key: string): Promise<EarlierTurn | null> {
  const turn = await tables
    .selectFrom('idempotent_turns')
    .select(['turn_id as turnId', 'request_hash as requestHash', 'answer_position as answerPosition'])
    .where('chat_id', '=', chatId)
    .where('idempotency_key', '=', key)
    .executeTakeFirst();
  if (turn === undefined) return null;
  const answer = await tables
    .selectFrom('messages')
    .select(messageColumns)
    .where('chat_id', '=', chatId)
    .where('position', '=', turn.answerPosition)
    .where('turn_id', '=', turn.turnId)
    .executeTakeFirst();
  return answer === undefined ? null : { turnId: turn.turnId, requestHash: turn.requestHash, answer };
}

/** Lets a turn run when none of its session is before it. Undefined when it has to wait. */
async function admit(
  connection: Connection,
  epoch: number,
  ticket: TurnTicket,
): Promise<AdmittedTurn | undefined> {
  const { numUpdatedRows } = await connection.tables
    .updateTable('turns')
    .set({ running: 1 })
    .where('epoch', '=', epoch)
    .where((where) =>
      where.not(
        where.exists(
          where
            .selectFrom('turns as before')
            .select('before.epoch')
            .where((inner) =>
              inner.and({
                'before.owner_service': ticket.owner.service,
                'before.owner_user': ticket.owner.user,
                'before.session_id': ticket.sessionId,
              }),
            )
            .where('before.epoch', '<', epoch),
        ),
      ),
    )
    .executeTakeFirstOrThrow();
  return numUpdatedRows === 0n ? undefined : recall(connection, ticket);
}

/** Takes a turn out of the line. False when it is not in it any more: another core service has taken its session over. */
async function leave({ tables }: Connection, epoch: number): Promise<boolean> {
  const { numDeletedRows } = await tables
    .deleteFrom('turns')
    .where('epoch', '=', epoch)
    .executeTakeFirstOrThrow();
  return numDeletedRows === 1n;
}

async function makeChat(connection: Connection, turn: StoredTurn): Promise<ChatState> {
  const created = await connection.tables
    .insertInto('chats')
    .values({
      ...ownerColumns(turn.owner),
      session_id: turn.sessionId,
      window_id: turn.windowId,
      title: null,
      created_by: turn.owner.service === '' ? null : turn.owner.service,
      created_at: turn.startedAt,
      updated_at: turn.startedAt,
    })
    .onConflict((conflict) => conflict.doNothing())
    .returning('chat_id')
    .executeTakeFirst();
  const { chat_id: chatId } = created ?? {};
  if (chatId !== undefined) {
    return {
      chatId,
      windowId: turn.windowId,
      lastPosition: 0,
      lastEpoch: 0,
      instructions: null,
      summary: null,
    };
  }
  // Made through the session API in the meantime.
  return (await findChat(connection, turn.owner, turn.sessionId)) as ChatState;
}

/** Appends messages to a chat, with their words for search. */
async function appendMessages(
  { tables, syntax }: Connection,
  chatId: number,
  messages: readonly StoredMessage[],
): Promise<void> {
  for (let from = 0; from < messages.length; from += rowsPerInsert) {
    const portion = messages.slice(from, from + rowsPerInsert);
    const ids = await tables
      .insertInto('messages')
      .values(
        portion.map(({ turnId, createdAt, ...message }) => ({
          ...message,
          chat_id: chatId,
          turn_id: turnId,
          created_at: createdAt,
        })),
      )
      .returning(['message_id', 'position'])
      .execute();
    const contents = new Map(portion.map(({ position, content }) => [position, content]));
    await tables
      .insertInto('messages_search')
      .values(
        ids.map(({ message_id, position }) => ({
          rowid: message_id,
          words: syntax.indexed(wordsOf(contents.get(position) ?? '')),
        })),
      )
      .execute();
  }
}

/** Puts a whole answer where an interrupted one to the same request stands. Undefined when that is gone. */
async function replaceAnswer(
  { tables, syntax }: Connection,
  chatId: number,
  replaces: NonNullable<StoredTurn['replaces']>,
  answer: Omit<StoredMessage, 'position' | 'turnId'>,
): Promise<StoredMessage | undefined> {
  const { createdAt, ...columns } = answer;
  const row = await tables
    .updateTable('messages')
    .set({ ...columns, created_at: createdAt })
    .where('chat_id', '=', chatId)
    .where('position', '=', replaces.answerPosition)
    .where('turn_id', '=', replaces.turnId)
    .returning('message_id')
    .executeTakeFirst();
  if (row === undefined) return undefined;
  // A summary of what was said before covers the interrupted answer.
  await tables
    .deleteFrom('chat_summaries')
    .where('chat_id', '=', chatId)
    .where('up_to', '>=', replaces.answerPosition)
    .execute();
  await tables.deleteFrom('messages_search').where('rowid', '=', row.message_id).execute();
  await tables
    .insertInto('messages_search')
    .values({ rowid: row.message_id, words: syntax.indexed(wordsOf(answer.content)) })
    .execute();
  return { ...answer, position: replaces.answerPosition, turnId: replaces.turnId };
}

/** A message that was not counted, or comes out of the note of an older version. */
const uncounted = { tokens: null, tokenizer: null, context: null };

/** Stores a whole turn; its session's chat is made when there is none. */
async function storeTurn(
  connection: Connection,
  epoch: number,
  turn: StoredTurn,
  reply: NewMessage,
  state: StoredMessage['state'],
  now: string,
): Promise<StoredEnd> {
  const { tables } = connection;
  const chat = (await findChat(connection, turn.owner, turn.sessionId)) ?? (await makeChat(connection, turn));
  const answer = { ...uncounted, ...reply, state, model: turn.model, createdAt: now };
  const replaced =
    turn.replaces === null ? undefined : await replaceAnswer(connection, chat.chatId, turn.replaces, answer);
  let stored: StoredMessage[];
  if (replaced !== undefined) {
    stored = [replaced];
  } else {
    let position = chat.lastPosition;
    stored = turn.input.map((message) => ({
      ...uncounted,
      ...message,
      position: ++position,
      turnId: turn.turnId,
      state: 'complete',
      model: null,
      createdAt: turn.startedAt,
    }));
    stored.push({ ...answer, position: ++position, turnId: turn.turnId });
    await appendMessages(connection, chat.chatId, stored);
  }
  const last = stored.at(-1) as StoredMessage;
  await tables
    .updateTable('chats')
    .set((column) => ({
      message_count: Math.max(chat.lastPosition, last.position),
      last_epoch: epoch,
      updated_at: now,
      title: column.fn.coalesce('title', column.val(turn.title)),
      instructions: column.fn.coalesce(column.val(turn.instructions), 'instructions'),
    }))
    .where('chat_id', '=', chat.chatId)
    .execute();
  if (turn.idempotency !== null) {
    const columns = {
      request_hash: turn.idempotency.requestHash,
      turn_id: last.turnId,
      answer_position: last.position,
      created_at: now,
    };
    await tables
      .insertInto('idempotent_turns')
      .values({ chat_id: chat.chatId, idempotency_key: turn.idempotency.key, ...columns })
      .onConflict((conflict) => conflict.columns(['chat_id', 'idempotency_key']).doUpdateSet(columns))
      .execute();
  }
  return { chat, stored, appended: replaced === undefined };
}

/** What the end of a turn has changed. */
export interface StoredEnd {
  /** The chat before. */
  readonly chat: ChatState;
  readonly stored: readonly StoredMessage[];
  /** False when an answer has taken the place of an interrupted one. */
  readonly appended: boolean;
}

/** A turn that runs, as far as it was noted. */
export interface NotedTurn {
  readonly epoch: number;
  /** Null until its first text. */
  readonly turn: StoredTurn | null;
  readonly texts: readonly { readonly number: number; readonly text: string }[];
}

/** Queries that a turn makes. `epoch` is the number that {@link turnQueries}' `turns.enter` has given it. */
export const turnQueries = {
  /** Gets in line for a session, and runs at once when nobody is before. Null when the core service has been buried. */
  'turns.enter': briefWrite(
    async (
      connection,
      ticket: TurnTicket,
    ): Promise<{ epoch: number; admitted: AdmittedTurn | null } | null> => {
      const { tables } = connection;
      const row = await tables
        .insertInto('turns')
        .columns(['owner_service', 'owner_user', 'session_id', 'core_id', 'running'])
        .expression((from) =>
          from
            .selectFrom('cores')
            .select([
              sql<string>`${ticket.owner.service}`.as('owner_service'),
              sql<string>`${ticket.owner.user}`.as('owner_user'),
              sql<string>`${ticket.sessionId}`.as('session_id'),
              'core_id',
              sql<0>`0`.as('running'),
            ])
            .where('core_id', '=', ticket.coreId),
        )
        .returning('epoch')
        .executeTakeFirst();
      if (row === undefined) return null;
      return { epoch: row.epoch, admitted: (await admit(connection, row.epoch, ticket)) ?? null };
    },
  ),

  /** How a waiting turn stands. */
  'turns.standing': read(
    async (
      { tables },
      { epoch, owner, sessionId }: { epoch: number } & Pick<TurnTicket, 'owner' | 'sessionId'>,
    ): Promise<'next' | 'waiting' | 'lost'> => {
      const line = await tables
        .selectFrom('turns')
        .select('epoch')
        .where((where) => where.and({ ...ownerColumns(owner), session_id: sessionId }))
        .where('epoch', '<=', epoch)
        .orderBy('epoch')
        .execute();
      if (line.at(-1)?.epoch !== epoch) return 'lost';
      return line.length === 1 ? 'next' : 'waiting';
    },
  ),

  /** Runs a turn that has waited. Null when it still has to. */
  'turns.admit': briefWrite(
    async (
      connection,
      { epoch, ticket }: { epoch: number; ticket: TurnTicket },
    ): Promise<AdmittedTurn | null> => (await admit(connection, epoch, ticket)) ?? null,
  ),

  /** Leaves the line without a trace. */
  'turns.leave': briefWrite(
    async (connection, { epoch }: { epoch: number }): Promise<boolean> => leave(connection, epoch),
  ),

  /** The newest messages up to a position, the oldest first. */
  'turns.recent': read(
    async (
      { tables },
      { chatId, upTo, limit }: { chatId: number; upTo: number; limit: number },
    ): Promise<StoredMessage[]> => {
      const newestFirst = await tables
        .selectFrom('messages')
        .select(messageColumns)
        .where('chat_id', '=', chatId)
        .where('position', '<=', upTo)
        .orderBy('position', 'desc')
        .limit(limit)
        .execute();
      return newestFirst.reverse();
    },
  ),

  /** Notes texts of streaming answers; the first of a turn brings the turn itself. Turns that are not in line any more are left out. */
  'turns.note': write(
    async (
      { tables },
      notes: readonly { epoch: number; turn: StoredTurn | null; number: number; text: string }[],
    ): Promise<void> => {
      for (const { epoch, turn, number, text } of notes) {
        if (turn !== null) {
          await tables
            .updateTable('turns')
            .set({ turn: JSON.stringify(turn) })
            .where('epoch', '=', epoch)
            .execute();
        }
        await tables
          .insertInto('turn_texts')
          .columns(['epoch', 'number', 'text'])
          .expression((from) =>
            from
              .selectFrom('turns')
              .select([
                'epoch',
                sql<number>`cast(${number} as integer)`.as('number'),
                sql<string>`${text}`.as('text'),
              ])
              .where('epoch', '=', epoch),
          )
          .execute();
      }
    },
  ),

  /** The turn that runs in a session, with the texts after a number of them. */
  'turns.noted': read(
    async (
      { tables },
      { owner, sessionId, after }: Pick<TurnTicket, 'owner' | 'sessionId'> & { after: number },
    ): Promise<NotedTurn | undefined> => {
      const running = await tables
        .selectFrom('turns')
        .select(['epoch', 'turn'])
        .where((where) => where.and({ ...ownerColumns(owner), session_id: sessionId, running: 1 }))
        .executeTakeFirst();
      if (running === undefined) return undefined;
      const texts = await tables
        .selectFrom('turn_texts')
        .select(['number', 'text'])
        .where('epoch', '=', running.epoch)
        .where('number', '>', after)
        .orderBy('number')
        .execute();
      return {
        epoch: running.epoch,
        turn: running.turn === null ? null : (JSON.parse(running.turn) as StoredTurn),
        texts,
      };
    },
  ),

  /**
   * Stores a turn that is over.
   *
   * @throws {DatabaseError} `turn-lost` when another core service has taken its session over
   */
  'turns.end': write(
    async (
      connection,
      args: {
        epoch: number;
        turn: StoredTurn;
        answer: NewMessage;
        state: StoredMessage['state'];
        now: string;
      },
    ): Promise<StoredEnd> => {
      if (!(await leave(connection, args.epoch))) {
        throw new DatabaseError(
          'turn-lost',
          `the turn ${args.turn.turnId} is not this core service's any more: another one has taken over its session`,
        );
      }
      return storeTurn(connection, args.epoch, args.turn, args.answer, args.state, args.now);
    },
  ),

  /** Epochs of turns whose core service is gone, the oldest first. */
  'turns.orphans': read(async ({ tables }, { limit }: { limit: number }): Promise<number[]> => {
    const rows = await tables
      .selectFrom('turns')
      .select('epoch')
      .where('core_id', 'not in', (from) => from.selectFrom('cores').select('core_id'))
      .orderBy('epoch')
      .limit(limit)
      .execute();
    return rows.map(({ epoch }) => epoch);
  }),

  /** Takes an orphan out of the line; what there is of its answer is stored as interrupted. True when it was. */
  'turns.recover': write(
    async (connection, { epoch, now }: { epoch: number; now: string }): Promise<boolean> => {
      const { tables } = connection;
      const orphan = await tables
        .updateTable('turns')
        .set({ running: 0 })
        .where('epoch', '=', epoch)
        .where('core_id', 'not in', (from) => from.selectFrom('cores').select('core_id'))
        .returning('turn')
        .executeTakeFirst();
      if (orphan === undefined) return false;
      const texts = await tables
        .selectFrom('turn_texts')
        .select('text')
        .where('epoch', '=', epoch)
        .orderBy('number')
        .execute();
      await leave(connection, epoch);
      const content = texts.map(({ text }) => text).join('');
      if (orphan.turn === null || content === '') return false;
      const turn = JSON.parse(orphan.turn) as StoredTurn;
      await storeTurn(
        connection,
        epoch,
        turn,
        { ...uncounted, role: 'assistant', content, payload: null },
        'interrupted',
        now,
      );
      return true;
    },
  ),

  /** Keeps a summary, unless the chat has got further or was deleted meanwhile. */
  'turns.summarise': write(
    async (
      { tables },
      args: { chatId: number; upTo: number; summary: string; model: string; now: string },
    ): Promise<void> => {
      const columns = { up_to: args.upTo, summary: args.summary, model: args.model, created_at: args.now };
      const chat = await tables
        .selectFrom('chats')
        .select('chat_id')
        .where('chat_id', '=', args.chatId)
        .where('deleted_at', 'is', null)
        .where('message_count', '>=', args.upTo)
        .executeTakeFirst();
      if (chat === undefined) return;
      await tables
        .insertInto('chat_summaries')
        .values({ chat_id: args.chatId, ...columns })
        .onConflict((conflict) =>
          conflict.column('chat_id').doUpdateSet(columns).where('chat_summaries.up_to', '<', args.upTo),
        )
        .execute();
    },
  ),

  /** Forgets idempotency keys from before a time. */
  'turns.forgetKeys': write(async ({ tables }, { before }: { before: string }): Promise<number> => {
    const { numDeletedRows } = await tables
      .deleteFrom('idempotent_turns')
      .where('created_at', '<', before)
      .executeTakeFirstOrThrow();
    return Number(numDeletedRows);
  }),
} as const;
