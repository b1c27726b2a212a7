import type { Database } from '../database/database.ts';
import type { NotedTurn, StoredEnd, TurnTicket } from '../database/queries/turns.ts';
import type {
  AdmittedTurn,
  NewMessage,
  StoredMessage,
  StoredSummary,
  StoredTurn,
} from '../terms/conversation.ts';
import type { Owner } from '../terms/owner.ts';

/** A turn that is over. */
export interface EndedTurn {
  readonly epoch: number;
  readonly turn: StoredTurn;
  readonly answer: NewMessage;
  readonly state: StoredMessage['state'];
  readonly now: string;
}

/** Text of a streaming answer; the first of a turn brings the turn itself. */
export interface AnswerNote {
  readonly epoch: number;
  readonly turn: StoredTurn | null;
  readonly number: number;
  readonly text: string;
}

export type { NotedTurn, StoredEnd, TurnTicket };

/**
 * Where turns stand in line for their sessions and are written down. The epoch of a turn is its place in the line and its
 * fence: once another core service has taken the turn over, no write with its epoch has an effect.
 */
export interface TurnStore {
  /** Null when this core service is taken for dead. */
  enter(ticket: TurnTicket): Promise<{ epoch: number; admitted: AdmittedTurn | null } | null>;
  standing(epoch: number, ticket: TurnTicket): Promise<'next' | 'waiting' | 'lost'>;
  admit(epoch: number, ticket: TurnTicket): Promise<AdmittedTurn | null>;
  /** Without a trace. */
  leave(epoch: number): Promise<void>;
  /** The newest messages up to a position, the oldest first. */
  recent(chatId: number, upTo: number, limit: number): Promise<StoredMessage[]>;
  /** Keeps a summary, unless the chat has a later one or is gone. */
  summarise(summary: StoredSummary & { readonly chatId: number; readonly model: string }): Promise<void>;
  note(notes: readonly AnswerNote[]): Promise<void>;
  /** The turn that runs in a session, with the texts after a number of them; undefined when none runs. */
  noted(owner: Owner, sessionId: string, after: number): Promise<NotedTurn | undefined>;
  /** @throws {import('../database/errors.ts').DatabaseError} `turn-lost` */
  end(ended: EndedTurn): Promise<StoredEnd>;
  /** Epochs of turns whose core service is gone, the oldest first. */
  orphans(limit: number): Promise<number[]>;
  /** True when an interrupted answer was kept. */
  recover(epoch: number): Promise<boolean>;
}

export function turnStore(database: Database): TurnStore {
  return {
    enter: (ticket) => database.call('turns.enter', ticket),
    standing: (epoch, { owner, sessionId }) => database.call('turns.standing', { epoch, owner, sessionId }),
    admit: (epoch, ticket) => database.call('turns.admit', { epoch, ticket }),
    async leave(epoch) {
      await database.call('turns.leave', { epoch });
    },
    recent: (chatId, upTo, limit) => database.call('turns.recent', { chatId, upTo, limit }),
    async summarise({ chatId, upTo, text, model }) {
      const now = new Date().toISOString();
      await database.call('turns.summarise', { chatId, upTo, summary: text, model, now });
    },
    note: (notes) => database.call('turns.note', notes),
    noted: (owner, sessionId, after) => database.call('turns.noted', { owner, sessionId, after }),
    end: (ended) => database.call('turns.end', ended),
    orphans: (limit) => database.call('turns.orphans', { limit }),
    recover: (epoch) => database.call('turns.recover', { epoch, now: new Date().toISOString() }),
  };
}
