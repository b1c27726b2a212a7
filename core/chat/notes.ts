import type { FastifyBaseLogger } from 'fastify';
import type { TurnStore } from '../store/turn-store.ts';
import type { StoredTurn } from '../terms/conversation.ts';

/** Least time between two notes; all answers that stream share them. */
const intervalMs = 200;

interface Pending {
  readonly epoch: number;
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
  readonly #turns: TurnStore;
  readonly #log: FastifyBaseLogger;
  readonly #pending = new Map<number, Pending>();
  #timer: NodeJS.Timeout | undefined;
  #writing = false;
  #lastAt = Number.NEGATIVE_INFINITY;

  constructor(turns: TurnStore, log: FastifyBaseLogger) {
    this.#turns = turns;
    this.#log = log;
  }

  add(epoch: number, turn: StoredTurn, text: string): void {
    let pending = this.#pending.get(epoch);
    if (pending === undefined) {
      pending = { epoch, turn, announced: false, number: 0, text: '' };
      this.#pending.set(epoch, pending);
    }
    pending.text += text;
    this.#schedule(pending.announced ? this.#lastAt + intervalMs - performance.now() : 0);
  }

  /** The turn is over: whoever stores it stores the whole. */
  forget(epoch: number): void {
    this.#pending.delete(epoch);
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
      const { epoch, turn, number } = pending;
      return { epoch, turn: first ? turn : null, number, text };
    });
    this.#writing = true;
    this.#lastAt = performance.now();
    try {
      await this.#turns.note(notes);
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
