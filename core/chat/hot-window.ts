import type { FastifyBaseLogger } from 'fastify';
import * as z from 'zod';
import type { Database } from '../database/database.ts';
import type { ChatState, StoredMessage } from '../database/queries/turns.ts';
import { RedisUnavailable } from '../redis/errors.ts';
import type { RedisPool } from '../redis/redis-pool.ts';
import { messageSchema } from '../terms/message.ts';
import { type RecalledMessage, toRecalled } from './stored-message.ts';

const timeToLiveSeconds = 24 * 3600;

const entrySchema = z.object({
  position: z.int(),
  turn: z.string(),
  message: messageSchema,
  counted: z.object({ tokens: z.int(), tokenizer: z.string() }).optional(),
});

type Entry = z.output<typeof entrySchema>;

/** A session's newest messages. */
export interface Recent {
  readonly messages: readonly RecalledMessage[];
  /** True when Redis holds exactly the newest messages, so that those of this turn may be appended. */
  readonly hot: boolean;
}

/**
 * The newest messages of each session in Redis: a list, capped, gone after 24 hours without a turn. SQLite is the truth; a list is
 * used only when it ends with the message that SQLite calls the newest and has no gap, and is made anew otherwise.
 */
export class HotWindow {
  readonly #redis: RedisPool;
  readonly #database: Database;
  readonly #cap: number;
  readonly #log: FastifyBaseLogger;

  /** @param cap how many messages of a session are kept: as many as any model's retrieval limit */
  constructor(redis: RedisPool, database: Database, cap: number, log: FastifyBaseLogger) {
    this.#redis = redis;
    this.#database = database;
    this.#cap = cap;
    this.#log = log;
  }

  /** The newest messages of a chat, at most `limit`, the oldest first. */
  async recent(chat: ChatState, limit: number): Promise<Recent> {
    if (chat.lastPosition === 0) return { messages: [], hot: true };
    const entries = await this.#tolerant(() =>
      this.#redis.run('chat', 'lrange', (client) => client.lrange(keyOf(chat.windowId), -limit, -1)),
    );
    const found = entries && parseWindow(entries, chat, limit);
    if (found !== undefined) return { messages: found, hot: true };
    const rows = await this.#database.call('turns.recent', {
      chatId: chat.chatId,
      upTo: chat.lastPosition,
      limit: entries === undefined ? limit : this.#cap,
    });
    // When Redis could not even be read, writing to it would only cost more time.
    const hot = entries !== undefined && (await this.#replace(chat.windowId, rows));
    return { messages: rows.slice(-limit).map(toRecalled), hot };
  }

  /** Appends the messages of a turn to a window that {@link recent} has called hot. */
  async append(windowId: string, rows: readonly StoredMessage[]): Promise<void> {
    const key = keyOf(windowId);
    await this.#tolerant(() =>
      this.#redis.run('chat', 'rpush', (client) =>
        client
          .multi()
          .rpush(key, ...rows.map(toEntry))
          .ltrim(key, -this.#cap, -1)
          .expire(key, timeToLiveSeconds)
          .exec(),
      ),
    );
  }

  /** Drops a window. */
  async drop(windowId: string): Promise<void> {
    await this.#tolerant(() => this.#redis.run('chat', 'del', (client) => client.del(keyOf(windowId))));
  }

  async #replace(windowId: string, rows: readonly StoredMessage[]): Promise<boolean> {
    if (rows.length === 0) return false;
    const key = keyOf(windowId);
    const done = await this.#tolerant(() =>
      this.#redis.run('chat', 'rebuild', (client) =>
        client
          .multi()
          .del(key)
          .rpush(key, ...rows.map(toEntry))
          .expire(key, timeToLiveSeconds)
          .exec(),
      ),
    );
    return done !== undefined;
  }

  /** Redis is a convenience here: without it a turn is only a little slower. */
  async #tolerant<Result>(work: () => Promise<Result>): Promise<Result | undefined> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof RedisUnavailable)) this.#log.warn({ err: error }, 'Redis refused a command');
      return undefined;
    }
  }
}

/** The braces keep a chat's keys in one slot of a cluster. */
function keyOf(windowId: string): string {
  return `chat:{${windowId}}:window`;
}

function toEntry(row: StoredMessage): string {
  const { message, counted } = toRecalled(row);
  return JSON.stringify({
    position: row.position,
    turn: row.turn_id,
    message,
    ...(counted && { counted }),
  } satisfies Entry);
}

/** The messages of a list; undefined unless it is whole, without gap, and ends where SQLite says. */
export function parseWindow(
  entries: readonly string[],
  chat: Pick<ChatState, 'lastPosition' | 'lastTurn'>,
  limit: number,
): RecalledMessage[] | undefined {
  if (entries.length !== Math.min(limit, chat.lastPosition)) return undefined;
  const first = chat.lastPosition - entries.length + 1;
  const messages: RecalledMessage[] = [];
  for (const [index, text] of entries.entries()) {
    const entry = parseEntry(text);
    if (entry?.position !== first + index) return undefined;
    if (index === entries.length - 1 && entry.turn !== chat.lastTurn) return undefined;
    messages.push({ message: entry.message, counted: entry.counted });
  }
  return messages;
}

function parseEntry(text: string): Entry | undefined {
  try {
    return entrySchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
