import { randomUUID } from 'node:crypto';
import type { FastifyBaseLogger } from 'fastify';
import type { Database } from '../database/database.ts';
import type { ChatRow, FoundMessage } from '../database/queries/chats.ts';
import type { StoredMessage } from '../database/queries/turns.ts';
import { CoreError } from '../errors.ts';
import type { HotWindow } from './hot-window.ts';

/** Rows that one write of the clean-up removes: it holds no turn up for longer than that takes. */
const purgePortion = 500;
const pageLength = 500;
const keyLifetimeMs = 24 * 3_600_000;
const upkeepIntervalMs = 3_600_000;

/** The sessions as things to list, read, rename, delete and search. */
export class Archive {
  readonly #database: Database;
  readonly #windows: HotWindow;
  readonly #log: FastifyBaseLogger;
  #purging: Promise<void> | undefined;
  #closed = false;
  readonly #upkeep: NodeJS.Timeout;

  constructor(database: Database, windows: HotWindow, log: FastifyBaseLogger) {
    this.#database = database;
    this.#windows = windows;
    this.#log = log;
    this.#upkeep = setInterval(() => this.#keepUp(), upkeepIntervalMs).unref();
    this.#keepUp();
  }

  async create(session: string | undefined, title: string | null, caller: string | null): Promise<ChatRow> {
    const name = session ?? randomUUID();
    const chat = await this.#database.call('chats.create', {
      session: name,
      windowId: randomUUID(),
      title,
      caller,
      now: new Date().toISOString(),
    });
    if (chat !== undefined) return chat;
    throw new CoreError(
      'session_exists',
      `there is a session ${name} already: choose another id, or send none`,
      {
        param: 'id',
      },
    );
  }

  list(limit: number, before: { updatedAt: string; chatId: number } | null) {
    return this.#database.call('chats.list', { limit, before });
  }

  async get(session: string): Promise<ChatRow> {
    return found(session, await this.#database.call('chats.get', { session }));
  }

  async messages(
    session: string,
    page: { limit: number; from: number | null; newestFirst: boolean },
  ): Promise<StoredMessage[]> {
    return found(session, await this.#database.call('chats.messages', { session, ...page }));
  }

  /** All messages of a chat, the oldest first, page by page. */
  async *pages(session: string): AsyncGenerator<readonly StoredMessage[]> {
    let from: number | null = null;
    for (;;) {
      const page = await this.messages(session, { limit: pageLength, from, newestFirst: false });
      if (page.length > 0) yield page;
      if (page.length < pageLength) return;
      from = (page.at(-1) as StoredMessage).position;
    }
  }

  async rename(session: string, title: string): Promise<ChatRow> {
    const now = new Date().toISOString();
    return found(session, await this.#database.call('chats.rename', { session, title, now }));
  }

  async delete(session: string): Promise<void> {
    const now = new Date().toISOString();
    const { windowId } = found(session, await this.#database.call('chats.delete', { session, now }));
    await this.#windows.drop(windowId);
    this.#purge();
  }

  search(
    match: string,
    page: { session: string | null; before: number | null; limit: number },
  ): Promise<FoundMessage[]> {
    return this.#database.call('chats.search', { match, ...page });
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#upkeep);
    await this.#purging;
  }

  #keepUp(): void {
    const before = new Date(Date.now() - keyLifetimeMs).toISOString();
    this.#database
      .call('turns.forgetKeys', { before })
      .catch((error) => this.#log.warn({ err: error }, 'could not forget old idempotency keys'));
    this.#purge();
  }

  #purge(): void {
    this.#purging ??= this.#removeDeleted()
      .catch((error) => this.#log.warn({ err: error }, 'could not remove deleted chats; it is tried again'))
      .finally(() => {
        this.#purging = undefined;
      });
  }

  async #removeDeleted(): Promise<void> {
    while (!this.#closed && (await this.#database.call('chats.purge', { limit: purgePortion })));
  }
}

function found<Value>(session: string, value: Value | undefined): Value {
  if (value !== undefined) return value;
  throw new CoreError('session_not_found', `there is no session ${session}: GET /api/chats lists them`, {
    param: 'session',
  });
}
