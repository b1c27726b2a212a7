import type { FieldSection } from '../http1/field-section.ts';
import type { Trailers } from '../http1/trailer-fields.ts';
import type { Refusal } from '../terms/refusal.ts';
import type { CalleeEnd } from './ends.ts';

/** What happens to a streamed body on its way, and at its end. */
export interface BodyGuard {
  update(piece: Buffer): void;
  /** The body is complete: the trailer section to send behind it, if any, or why it must not be completed. */
  finish(trailers: Trailers | undefined): FieldSection | Refusal | undefined;
}

/** A request body that is passed on as it comes; its last byte goes once its guard has seen all of it. */
export class GuardedBody {
  readonly #guard: BodyGuard;
  /** Bytes still to come, of a body whose end is shown by its length; undefined of any other. */
  #remaining: number | undefined;
  #lastByte: Buffer | undefined = undefined;

  /** @param length bytes, where the body's end is shown by its length: its last byte is held back then */
  constructor(length: number | undefined, guard: BodyGuard) {
    this.#remaining = length;
    this.#guard = guard;
  }

  /** Passes a piece on. @returns false to read no more for now */
  write(callee: CalleeEnd, buffer: Buffer, start: number, end: number): boolean | Refusal {
    if (start === end) return true;
    this.#guard.update(buffer.subarray(start, end));
    const remaining = this.#remaining;
    if (remaining === undefined) return callee.write(buffer, start, end);
    if (end - start > remaining) return mismatch('longer');
    this.#remaining = remaining - (end - start);
    if (this.#remaining > 0) return callee.write(buffer, start, end);
    // The app must not see the end of a body before it is proven.
    callee.corkForThisTurn();
    this.#lastByte = Buffer.from(buffer.subarray(end - 1, end));
    return callee.write(buffer, start, end - 1);
  }

  /** The body is complete: shows its end, unless there is something wrong with it. */
  end(callee: CalleeEnd, trailers: Trailers | undefined): Refusal | undefined {
    if (this.#remaining !== undefined && this.#remaining !== 0) return mismatch('shorter');
    const finished = this.#guard.finish(trailers);
    if (finished !== undefined && 'reason' in finished) return finished;
    if (this.#lastByte !== undefined) callee.write(this.#lastByte, 0, 1);
    callee.end(finished);
    return undefined;
  }
}

const mismatch = (is: 'longer' | 'shorter'): Refusal => ({
  reason: 'digest-mismatch',
  detail: `The body is ${is} than the length that was signed.`,
});
