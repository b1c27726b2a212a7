import type { FieldSection } from '../http1/field-section.ts';
import { requestTrailers, type Trailers } from '../http1/trailer-fields.ts';
import type { Refusal } from '../terms/refusal.ts';
import type { CalleeEnd } from './ends.ts';

/**
 * A request body that is passed on as it comes, in the framing and with the trailers that it came with: TLS protects
 * it record by record. A copy of what was sent is kept for a re-send, up to a limit, until the response begins.
 */
export class SentBody {
  readonly #limitBytes: number;
  /** Undefined once it is longer than the limit, or not needed any more. */
  #copy: Buffer[] | undefined = [];
  #copiedBytes = 0;
  /** What was sent behind its last byte; undefined while it has not ended. */
  #end: { readonly trailers: FieldSection | undefined } | undefined = undefined;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Whether all that was sent can be sent again. */
  get isKept(): boolean {
    return this.#copy !== undefined;
  }

  /** Whether nothing has been sent. */
  get isUntouched(): boolean {
    return this.#copiedBytes === 0 && this.#copy !== undefined && this.#end === undefined;
  }

  /** Passes a piece on. @returns false to read no more for now */
  write(callee: CalleeEnd, buffer: Buffer, start: number, end: number): boolean | Refusal {
    if (this.#copy !== undefined) {
      this.#copiedBytes += end - start;
      if (this.#copiedBytes > this.#limitBytes) this.forget();
      else this.#copy.push(Buffer.from(buffer.subarray(start, end)));
    }
    return callee.write(buffer, start, end);
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
    for (const piece of this.#copy ?? []) callee.write(piece, 0, piece.length);
    if (this.#end !== undefined) callee.end(this.#end.trailers);
  }

  /** It will not be sent again. */
  forget(): void {
    this.#copy = undefined;
  }
}
