import type { Database } from '../database/database.ts';
import type { ConversationCursor } from '../database/queries/chats.ts';
import type { Conversation, FoundMessage, SearchTerm, StoredMessage } from '../terms/conversation.ts';
import type { Owner } from '../terms/owner.ts';

export type { ConversationCursor };

/** One page of the messages of a session. */
export interface MessagePage {
  readonly limit: number;
  /** The position that the page before ended with. */
  readonly from: number | null;
  readonly newestFirst: boolean;
}

export interface SearchPage {
  /** Null for all sessions of the owner. */
  readonly session: string | null;
  /** The messageId that the page before ended with. */
  readonly before: number | null;
  readonly limit: number;
}

/** Sessions as things to list, read, rename, delete and search; every one by its owner. Undefined: there is none. */
export interface ConversationStore {
  /** Undefined when the owner has one of that name. */
  create(
    owner: Owner,
    session: string,
    windowId: string,
    title: string | null,
  ): Promise<Conversation | undefined>;
  get(owner: Owner, session: string): Promise<Conversation | undefined>;
  list(
    owner: Owner,
    limit: number,
    before: ConversationCursor | null,
  ): Promise<(Conversation & { chatId: number })[]>;
  messages(owner: Owner, session: string, page: MessagePage): Promise<StoredMessage[] | undefined>;
  rename(owner: Owner, session: string, title: string): Promise<Conversation | undefined>;
  /** Makes an unowned session, with its files, the owner's; `exists` when the owner has one of that name. */
  claim(owner: Owner, session: string): Promise<Conversation | 'exists' | undefined>;
  /** Hides it at once; {@link purge} removes its rows. */
  delete(owner: Owner, session: string): Promise<{ windowId: string } | undefined>;
  /** Removes some rows of deleted sessions. False when there is nothing left to remove. */
  purge(limit: number): Promise<boolean>;
  search(owner: Owner, terms: readonly SearchTerm[], page: SearchPage): Promise<FoundMessage[]>;
  /** Forgets idempotency keys from before a time. */
  forgetKeys(before: string): Promise<void>;
}

export function conversationStore(database: Database): ConversationStore {
  const now = () => new Date().toISOString();
  return {
    create: (owner, session, windowId, title) =>
      database.call('chats.create', { owner, session, windowId, title, now: now() }),
    get: (owner, session) => database.call('chats.get', { owner, session }),
    list: (owner, limit, before) => database.call('chats.list', { owner, limit, before }),
    messages: (owner, session, page) => database.call('chats.messages', { owner, session, ...page }),
    rename: (owner, session, title) => database.call('chats.rename', { owner, session, title, now: now() }),
    claim: (owner, session) => database.call('chats.claim', { owner, session }),
    delete: (owner, session) => database.call('chats.delete', { owner, session, now: now() }),
    purge: (limit) => database.call('chats.purge', { limit }),
    search: (owner, terms, page) => database.call('chats.search', { owner, terms, ...page }),
    async forgetKeys(before) {
      await database.call('turns.forgetKeys', { before });
    },
  };
}
