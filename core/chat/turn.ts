import type { StoredSummary } from '../terms/conversation.ts';
import type { Message } from '../terms/message.ts';
import type { MessageTokens } from '../tokens/message-tokens.ts';

/** An answer that the model has finished. */
export interface FinishedAnswer {
  readonly message: Message;
  readonly finishReason: string | undefined;
  readonly usage:
    | { readonly prompt_tokens?: unknown; readonly completion_tokens?: unknown }
    | null
    | undefined;
}

/** What the window did to a conversation; stored with the answer. */
export interface ContextRecord {
  /** Messages of the conversation: how many the model was sent, of how many there are. */
  readonly messages: { readonly sent: number; readonly of: number };
  readonly tokens: { readonly prompt: number; readonly window: number; readonly max_output: number };
  /** Who counted the tokens. */
  readonly tokenizer: string;
  /** True when a summary took the place of what was left out. */
  readonly summarized: boolean;
  /** Position of the last message that the summary covers. */
  readonly summary_up_to?: number;
}

/** What goes into one turn. All messages in the order in which they were said. */
export interface TurnMessages {
  readonly instructions: readonly Message[];
  /** The newest messages before this turn. */
  readonly history: readonly Message[];
  readonly fresh: readonly Message[];
  /** How many messages there are before this turn; `history` may have fewer. */
  readonly earlierMessages: number;
  readonly summary: StoredSummary | null;
  /** The size that was stored with a message of the history. */
  storedTokens(message: Message): MessageTokens | undefined;
}

/** How a turn was planned. */
export interface PlannedTurn {
  readonly context: ContextRecord;
  /** Position of the first message of the history that is sent. */
  readonly firstSent: number;
  tokensOf(message: Message): MessageTokens | undefined;
}

/** What is known at the begin of a turn, and where the turn is written down. */
export interface TurnRecord extends TurnMessages {
  /** Names the turn; empty of a call without a session. */
  readonly id: string;
  /** The chat that the session had when the turn began; null when it had none. */
  readonly chatId: number | null;
  /** False of a call without a session: nothing is kept, so nothing has to be held back for it. */
  readonly durable: boolean;
  /** Says how the turn was planned, and for which model; the last one counts. */
  planned(plan: PlannedTurn, model: string): void;
  /** Notes text of the answer as it streams, so that a crash keeps it. */
  add(text: string): void;
  /**
   * The turn is over. When this resolves, all its messages are on the disk.
   *
   * @throws {import('../database/errors.ts').DatabaseError} when it could not be stored; `turn-lost` when another core service has taken the session over
   */
  complete(answer: Pick<FinishedAnswer, 'message'>, counted: MessageTokens | undefined): Promise<void>;
  /** The answer ended half-way: what there is of it is kept and marked; without any, the turn never happened. */
  interrupt(text: string): Promise<void>;
}

/** A call without a session. */
export function unrecorded(turn: Pick<TurnRecord, 'instructions' | 'history' | 'fresh'>): TurnRecord {
  return {
    ...turn,
    id: '',
    chatId: null,
    earlierMessages: turn.history.length,
    summary: null,
    storedTokens: () => undefined,
    durable: false,
    planned() {},
    add() {},
    async complete() {},
    async interrupt() {},
  };
}
