import type { CallRecord } from '../terms/call-record.ts';
import { type CallEvent, callEvent } from './call-event.ts';

/** Calls of a short while: a sample of the allowed ones, and the denied ones as far as they find room. */
export interface EventBatch {
  readonly events: readonly CallEvent[];
  /** Calls of the same while that are not among them. */
  readonly skipped: number;
}

const windowMs = 100;
/** Most calls of a kind in one batch. */
export const mostInBatch = 100;

/**
 * Collects the calls of one thread for whoever reads `/events`: bounded, and each allowed call of a window has the same
 * chance to be told of. It exists only while somebody reads.
 */
export class EventSampler {
  readonly #send: (batch: EventBatch) => void;
  readonly #timer: NodeJS.Timeout;
  readonly #random: () => number;
  #allowed: CallEvent[] = [];
  #allowedSeen = 0;
  #denied: CallEvent[] = [];
  #deniedSeen = 0;

  /** @param random 0 to 1, 1 excluded */
  constructor(send: (batch: EventBatch) => void, random: () => number = Math.random) {
    this.#send = send;
    this.#random = random;
    this.#timer = setInterval(() => this.flush(), windowMs).unref();
  }

  /** Hot path while somebody reads: a call that is not kept costs a random number. */
  add(call: CallRecord, claimed: string | undefined, nowMs: number): void {
    if ('allowed' in call.verdict && call.verdict.allowed) {
      // Reservoir sampling (algorithm R).
      const place =
        this.#allowedSeen < mostInBatch
          ? this.#allowedSeen
          : Math.floor(this.#random() * (this.#allowedSeen + 1));
      this.#allowedSeen++;
      if (place < mostInBatch) this.#allowed[place] = callEvent(call, claimed, nowMs);
      return;
    }
    this.#deniedSeen++;
    if (this.#denied.length < mostInBatch) this.#denied.push(callEvent(call, claimed, nowMs));
  }

  /** Sends what was collected, if anything was. */
  flush(): void {
    const seen = this.#allowedSeen + this.#deniedSeen;
    if (seen === 0) return;
    const events = [...this.#allowed, ...this.#denied].sort((a, b) => (a.time < b.time ? -1 : 1));
    this.#allowed = [];
    this.#denied = [];
    this.#allowedSeen = 0;
    this.#deniedSeen = 0;
    this.#send({ events, skipped: seen - events.length });
  }

  close(): void {
    clearInterval(this.#timer);
    this.flush();
  }
}
