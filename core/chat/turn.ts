import type { Answer } from './answer.ts';
import type { Message } from './message.ts';

/** What a session's memory knows at the begin of a turn, and where the turn is written down. */
export interface TurnRecord {
  readonly instructions: readonly Message[];
  readonly history: readonly Message[];
  readonly fresh: readonly Message[];
  /** False of a call without a session: nothing is kept, so nothing has to be held back for it. */
  readonly durable: boolean;
  /** Notes text of the answer as it streams, so that a crash keeps it. */
  add(text: string): void;
  /** The turn is over. When this resolves, all its messages are on the disk. */
  complete(answer: { readonly message: Message } & Pick<Answer, 'finishReason' | 'usage'>): Promise<void>;
  /** The answer ended half-way: what there is of it is kept and marked; without any, the turn never happened. */
  interrupt(text: string): Promise<void>;
}

/** A call without a session. */
export function unrecorded(turn: Pick<TurnRecord, 'instructions' | 'history' | 'fresh'>): TurnRecord {
  return { ...turn, durable: false, add() {}, async complete() {}, async interrupt() {} };
}
