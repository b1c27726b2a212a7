import type { Message } from '../terms/message.ts';

/** An answer that the model has finished. */
export interface FinishedAnswer {
  readonly message: Message;
  readonly finishReason: string | undefined;
  readonly usage:
    | { readonly prompt_tokens?: unknown; readonly completion_tokens?: unknown }
    | null
    | undefined;
}

/** What is known at the begin of a turn, and where the turn is written down. */
export interface TurnRecord {
  readonly instructions: readonly Message[];
  readonly history: readonly Message[];
  readonly fresh: readonly Message[];
  /** False of a call without a session: nothing is kept, so nothing has to be held back for it. */
  readonly durable: boolean;
  /** Notes text of the answer as it streams, so that a crash keeps it. */
  add(text: string): void;
  /**
   * The turn is over. When this resolves, all its messages are on the disk.
   *
   * @throws {import('../database/errors.ts').DatabaseError} when it could not be stored
   */
  complete(answer: FinishedAnswer): Promise<void>;
  /** The answer ended half-way: what there is of it is kept and marked; without any, the turn never happened. */
  interrupt(text: string): Promise<void>;
}

/** A call without a session. */
export function unrecorded(turn: Pick<TurnRecord, 'instructions' | 'history' | 'fresh'>): TurnRecord {
  return { ...turn, durable: false, add() {}, async complete() {}, async interrupt() {} };
}
