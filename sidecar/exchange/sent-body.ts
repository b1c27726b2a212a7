import type { FieldSection } from '../http1/field-section.ts';
import { requestTrailers, type Trailers } from '../http1/trailer-fields.ts';
import type { Refusal } from '../terms/refusal.ts';
import type { CalleeEnd } from './ends.ts';
import { KeptBytes } from './kept-bytes.ts';

/**
 * A request body that is passed on as it comes, in the framing and with the trailers that it came with: TLS protects
 * it record by record. A copy of what was sent is kept for a re-send, up to a limit, until the response begins.
 */
export class SentBody {
  readonly #limitBytes: number;
  /** Undefined once it is longer than the limit, or not needed any more. */
  #kept: KeptBytes | undefined;
  /** What was sent behind its last byte; undefined while it has not ended. */
  #end: { readonly trailers: FieldSection | undefined } | undefined = undefined;

  /**
   * @param lengthBytes undefined when it is not known
   * @param limitBytes most that is kept of it
   */
  constructor(lengthBytes: number | undefined, limitBytes: number) {
    this.#limitBytes = limitBytes;
    this.#kept = new KeptBytes(lengthBytes);
  }

  /** Whether all that was sent can be sent again. */
  get isKept(): boolean {
    return this.#kept !== undefined;
  }

  /** Passes a piece on. @returns false to read no more for now */
  write(callee: CalleeEnd, buffer: Buffer, start: number, end: number): boolean | Refusal {
    const kept = this.#kept;
    if (kept === undefined) return callee.write(buffer, start, end);
    if (kept.length + end - start > this.#limitBytes || kept.announced > this.#limitBytes) {
      this.forget(callee);
      return callee.write(buffer, start, end);
    }
    // Written from where it is kept, it need not be copied once more where the buffer is needed for the next read.
    const piece = kept.add(buffer, start, end);
    return callee.write(piece, 0, piece.length);
  }

  /** The body is complete. */
  end(callee: CalleeEnd, trailers: Trailers | undefined): Refusal | undefined {
    const passedOn = requestTrailers(trailers);
    this.#end = { trailers: passedOn };
    callee.end(passedOn);
    return undefined;
  }

  /** Sends again what has been sent. */
  replay(callee: CalleeEnd): void {
    for (const piece of this.#kept?.pieces ?? []) callee.write(piece, 0, piece.length);
    if (this.#end !== undefined) callee.end(this.#end.trailers);
  }

  /** It will not be sent again. @param callee that it was sent to last */
  forget(callee: CalleeEnd | undefined): void {
    this.#kept?.giveBack(callee?.progress);
    this.#kept = undefined;
  }
}
