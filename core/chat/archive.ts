import { randomUUID } from 'node:crypto';
import type { FastifyBaseLogger } from 'fastify';
import type {
  ConversationCursor,
  ConversationStore,
  MessagePage,
  SearchPage,
} from '../store/conversation-store.ts';
import type { HotWindow } from '../store/hot-window.ts';
import type { Conversation, FoundMessage, StoredMessage } from '../terms/conversation.ts';
import { CoreError } from '../terms/errors.ts';
import { type Owner, unowned } from '../terms/owner.ts';
import { toSearchTerms } from './search-terms.ts';

/** Rows that one write of the clean-up removes: it holds no turn up for longer than that takes. */
const purgePortion = 500;
const pageLength = 500;
const keyLifetimeMs = 24 * 3_600_000;
const upkeepIntervalMs = 3_600_000;

/** A reader of sessions: the owner, and whether it may read what belongs to nobody. */
export interface Reader {
  readonly owner: Owner;
  readonly readsUnowned: boolean;
}

/** The sessions as things to list, read, rename, delete and search. Another owner's session is not found. */
export class Archive {
  readonly #store: ConversationStore;
  readonly #windows: HotWindow;
  readonly #log: FastifyBaseLogger;
  #purging: Promise<void> | undefined;
  #closed = false;
  readonly #upkeep: NodeJS.Timeout;

  constructor(store: ConversationStore, windows: HotWindow, log: FastifyBaseLogger) {
    this.#store = store;
    this.#windows = windows;
    this.#log = log;
    this.#upkeep = setInterval(() => this.#keepUp(), upkeepIntervalMs).unref();
    this.#keepUp();
  }

  async create(owner: Owner, session: string | undefined, title: string | null): Promise<Conversation> {
    const name = session ?? randomUUID();
    const chat = await this.#store.create(owner, name, randomUUID(), title);
    if (chat === undefined) throw exists(name, 'choose another id, or send none', 'id');
    return chat;
  }

  list(owner: Owner, limit: number, before: ConversationCursor | null) {
    return this.#store.list(owner, limit, before);
  }

  async get(reader: Reader, session: string): Promise<Conversation> {
    return (await this.#find(reader, session)).chat;
  }

  async messages(reader: Reader, session: string, page: MessagePage): Promise<StoredMessage[]> {
    const { owner } = await this.#find(reader, session);
    return found(session, await this.#store.messages(owner, session, page));
  }

  /** All messages of a chat, the oldest first, page by page. */
  async *pages(reader: Reader, session: string): AsyncGenerator<readonly StoredMessage[]> {
    const { owner } = await this.#find(reader, session);
    let from: number | null = null;
    for (;;) {
      const next: MessagePage = { limit: pageLength, from, newestFirst: false };
      const page = found(session, await this.#store.messages(owner, session, next));
      if (page.length > 0) yield page;
      if (page.length < pageLength) return;
      from = (page.at(-1) as StoredMessage).position;
    }
  }

  async rename(owner: Owner, session: string, title: string): Promise<Conversation> {
    return found(session, await this.#store.rename(owner, session, title));
  }

  /** Makes an unowned session, with its files, the reader's. */
  async claim(reader: Reader, session: string): Promise<Conversation> {
    const chat = reader.readsUnowned ? await this.#store.claim(reader.owner, session) : undefined;
    if (chat === 'exists') throw exists(session, 'rename or delete yours first', 'session');
    return found(session, chat);
  }

  async delete(owner: Owner, session: string): Promise<void> {
    const { windowId } = found(session, await this.#store.delete(owner, session));
    await this.#windows.drop(windowId);
    this.#purge();
  }

  /** @throws {CoreError} `invalid_request` for a text without a word */
  search(owner: Owner, text: string, page: SearchPage): Promise<FoundMessage[]> {
    const terms = toSearchTerms(text);
    if (terms.length > 0) return this.#store.search(owner, terms, page);
    throw new CoreError('invalid_request', 'q: found no letter or digit, expected words to search for', {
      param: 'q',
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#upkeep);
    await this.#purging;
  }

  async #find(
    { owner, readsUnowned }: Reader,
    session: string,
  ): Promise<{ owner: Owner; chat: Conversation }> {
    const own = await this.#store.get(owner, session);
    if (own !== undefined || !readsUnowned) return { owner, chat: found(session, own) };
    return { owner: unowned, chat: found(session, await this.#store.get(unowned, session)) };
  }

  #keepUp(): void {
    const before = new Date(Date.now() - keyLifetimeMs).toISOString();
    this.#store
      .forgetKeys(before)
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
    while (!this.#closed && (await this.#store.purge(purgePortion)));
  }
}

function exists(session: string, advice: string, param: string): CoreError {
  return new CoreError('session_exists', `there is a session ${session} already: ${advice}`, { param });
}

function found<Value>(session: string, value: Value | undefined): Value {
  if (value !== undefined) return value;
  throw new CoreError('session_not_found', `there is no session ${session}: GET /api/chats lists them`, {
    param: 'session',
  });
}
