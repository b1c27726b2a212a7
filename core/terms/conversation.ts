import type { Owner } from './owner.ts';

/** A session as its owner knows it. Times are RFC 3339, UTC. */
export interface Conversation {
  /** The name that clients use. */
  readonly id: string;
  readonly title: string | null;
  /** The calling service, when its sidecar proved it. */
  readonly createdBy: string | null;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly messageCount: number;
}

/** A message as it is kept. */
export interface StoredMessage {
  /** 1, 2, 3 … within its session. */
  readonly position: number;
  readonly turnId: string;
  readonly role: string;
  /** Its text, which is what search finds. */
  readonly content: string;
  /** The whole message as JSON, when it is more than a role and a text. */
  readonly payload: string | null;
  readonly state: 'complete' | 'interrupted';
  /** Of an answer. */
  readonly model: string | null;
  readonly createdAt: string;
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
  readonly owner: Owner;
  readonly sessionId: string;
  /** For the chat that is made when the session has none. */
  readonly windowId: string;
  readonly model: string;
  /** The system prompt as JSON, when the request brought one. */
  readonly instructions: string | null;
  readonly input: readonly NewMessage[];
  readonly title: string | null;
  readonly startedAt: string;
  readonly idempotency: { readonly key: string; readonly requestHash: string } | null;
  /** The interrupted answer, to the same request, that this turn's answer takes the place of. */
  readonly replaces: { readonly turnId: string; readonly answerPosition: number } | null;
}

/** What a turn needs to know of its session. */
export interface ChatState {
  readonly chatId: number;
  readonly windowId: string;
  /** Of its newest message; 0 when it has none. */
  readonly lastPosition: number;
  /** Of the turn that changed its messages last. */
  readonly lastEpoch: number;
  /** The last system prompt, as JSON. */
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
  readonly answer: StoredMessage;
}

/** A turn that may run. */
export interface AdmittedTurn {
  readonly chat: ChatState | null;
  readonly earlier: EarlierTurn | null;
}

/** A message that a search has found. */
export interface FoundMessage {
  readonly messageId: number;
  readonly sessionId: string;
  readonly title: string | null;
  readonly position: number;
  readonly role: string;
  /** An excerpt with the found words between `[` and `]`. */
  readonly excerpt: string;
  readonly createdAt: string;
}

/** Words that have to stand next to each other, in this order. */
export interface SearchTerm {
  /** Folded, as {@link import('./words.ts').wordsOf} gives them. */
  readonly words: readonly string[];
  /** The last word may be the beginning of a longer one. */
  readonly prefix: boolean;
}
