import type { FastifyBaseLogger } from 'fastify';
import type { Database } from '../database/database.ts';
import type { StoredTurn } from '../database/queries/turns.ts';

/** Least time between two notes; all answers that stream share them. */
const intervalMs = 200;

interface Pending {
  readonly turn: StoredTurn;
  /** True once the database knows the turn. */
  announced: boolean;
  number: number;
  text: string;
}

/**
 * Writes streaming answers down as they come, so that a crash loses no more than the last fifth of a second of one.
 * One write notes all of them; the first text of an answer is noted at once.
 */
export class Notes {
  readonly #database: Database;
  readonly #log: FastifyBaseLogger;
  readonly #pending = new Map<string, Pending>();
  #timer: NodeJS.Timeout | undefined;
  #writing = false;
  #lastAt = Number.NEGATIVE_INFINITY;

  constructor(database: Database, log: FastifyBaseLogger) {
    this.#database = database;
    this.#log = log;
  }

  add(turn: StoredTurn, text: string): void {
    let pending = this.#pending.get(turn.turnId);
    if (pending === undefined) {
      pending = { turn, announced: false, number: 0, text: '' };
      this.#pending.set(turn.turnId, pending);
    }
    pending.text += text;
    this.#schedule(pending.announced ? this.#lastAt + intervalMs - performance.now() : 0);
  }

  /** The turn is over: whoever stores it stores the whole. */
  forget(turnId: string): void {
    this.#pending.delete(turnId);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#pending.clear();
  }

  #schedule(delayMs: number): void {
    if (this.#timer !== undefined || this.#writing) return;
    this.#timer = setTimeout(() => void this.#write(), Math.max(0, delayMs));
  }

  async #write(): Promise<void> {
    this.#timer = undefined;
    const noted = [...this.#pending.values()]
      .filter(({ text }) => text !== '')
      .map((pending) => ({ pending, first: !pending.announced, text: pending.text }));
    if (noted.length === 0) return;
    const notes = noted.map(({ pending, first, text }) => {
      pending.text = '';
      pending.announced = true;
      pending.number++;
      const { turn, number } = pending;
      return { turnId: turn.turnId, turn: first ? turn : null, number, text };
    });
    this.#writing = true;
    this.#lastAt = performance.now();
    try {
      await this.#database.call('turns.note', notes);
    } catch (error) {
      // The answers go on; they are stored whole at their end. Until then a crash would cost more of them.
      this.#log.warn({ err: error }, 'could not note streaming answers');
      for (const { pending, first, text } of noted) {
        pending.text = text + pending.text;
        if (first) pending.announced = false;
      }
    }
    this.#writing = false;
    if ([...this.#pending.values()].some(({ text }) => text !== '')) this.#schedule(intervalMs);
  }
}
