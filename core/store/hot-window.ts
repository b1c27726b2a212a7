import type { FastifyBaseLogger } from 'fastify';
import * as z from 'zod';
import { RedisUnavailable } from '../redis/errors.ts';
import type { RedisPool } from '../redis/redis-pool.ts';
import type { ChatState, StoredMessage } from '../terms/conversation.ts';
import { messageSchema } from '../terms/message.ts';
import { type RecalledMessage, toRecalled } from './stored-message.ts';
import type { TurnStore } from './turn-store.ts';

const timeToLiveSeconds = 24 * 3600;

/**
 * `epoch` is the epoch of the turn that wrote the entry, or of the chat when the list was made from the database;
 * `after` is the epoch that the chat had before, null at a rebuild. The chain shows that nothing came in between.
 */
const entrySchema = z.object({
  position: z.int(),
  epoch: z.int(),
  after: z.int().nullable(),
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
 * The newest messages of each session in Redis: a list, capped, gone after 24 hours without a turn. The database is the truth; a list is
 * used only when it ends with the epoch and position that the database has and its chain has no gap, and is rebuilt otherwise: what a
 * core service appends that has lost its session is never read.
 */
export class HotWindow {
  readonly #redis: RedisPool;
  readonly #turns: TurnStore;
  readonly #cap: number;
  readonly #log: FastifyBaseLogger;

  /** @param cap how many messages of a session are kept: as many as any model's retrieval limit */
  constructor(redis: RedisPool, turns: TurnStore, cap: number, log: FastifyBaseLogger) {
    this.#redis = redis;
    this.#turns = turns;
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
    const wanted = entries === undefined ? limit : this.#cap;
    const rows = await this.#turns.recent(chat.chatId, chat.lastPosition, wanted);
    // When Redis could not even be read, writing to it would only cost more time.
    const hot = entries !== undefined && (await this.#replace(chat, rows));
    return { messages: rows.slice(-limit).map(toRecalled), hot };
  }

  /** Appends the messages of a turn to a window that {@link recent} has called hot for the chat before the turn. */
  async append(before: ChatState, epoch: number, rows: readonly StoredMessage[]): Promise<void> {
    const key = keyOf(before.windowId);
    await this.#tolerant(() =>
      this.#redis.run('chat', 'rpush', (client) =>
        client
          .multi()
          .rpush(key, ...rows.map((row) => toEntry(row, epoch, before.lastEpoch)))
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

  async #replace({ windowId, lastEpoch }: ChatState, rows: readonly StoredMessage[]): Promise<boolean> {
    if (rows.length === 0) return false;
    const key = keyOf(windowId);
    const done = await this.#tolerant(() =>
      this.#redis.run('chat', 'rebuild', (client) =>
        client
          .multi()
          .del(key)
          .rpush(key, ...rows.map((row) => toEntry(row, lastEpoch, null)))
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

function toEntry(row: StoredMessage, epoch: number, after: number | null): string {
  const { message, counted } = toRecalled(row);
  return JSON.stringify({
    position: row.position,
    epoch,
    after,
    message,
    ...(counted && { counted }),
  } satisfies Entry);
}

/** The messages of a list; undefined unless it is whole, its chain has no gap, and it ends where the database says. */
export function parseWindow(
  entries: readonly string[],
  chat: Pick<ChatState, 'lastPosition' | 'lastEpoch'>,
  limit: number,
): RecalledMessage[] | undefined {
  if (entries.length !== Math.min(limit, chat.lastPosition)) return undefined;
  const messages: RecalledMessage[] = [];
  let position = chat.lastPosition;
  let newer: Pick<Entry, 'epoch' | 'after'> = { epoch: chat.lastEpoch, after: chat.lastEpoch };
  for (const text of entries.toReversed()) {
    const entry = parseEntry(text);
    if (entry?.position !== position--) return undefined;
    const sameTurn = entry.epoch === newer.epoch;
    if (!sameTurn && (messages.length === 0 || entry.epoch !== newer.after)) return undefined;
    newer = entry;
    messages.push({ message: entry.message, counted: entry.counted });
  }
  return messages.reverse();
}

function parseEntry(text: string): Entry | undefined {
  try {
    return entrySchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
