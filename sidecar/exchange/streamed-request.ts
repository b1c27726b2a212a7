import { BodyWriter, type SentFraming } from '../connections/body-writer.ts';
import { corkForThisTurn, type OwnedSocket } from '../connections/socket.ts';
import type { Refusal } from '../terms/refusal.ts';

/** What happens to a streamed body on its way, and at its end. */
export interface BodyGuard {
  update(piece: Buffer): void;
  /**
   * The body is complete: either the trailer lines to send behind it (each with its CRLF), or why it must not be
   * completed.
   */
  finish(trailers: ReadonlyMap<string, string> | undefined): string | Refusal;
}

/** The body of a request that is passed on as it comes; its last byte goes once its guard has seen all of it. */
export class StreamedRequest {
  readonly #framing: SentFraming;
  readonly #length: number;
  readonly #guard: BodyGuard | undefined;
  #writer: BodyWriter | undefined = undefined;
  #lastByte: Buffer | undefined = undefined;

  /**
   * @param framing how the body is sent; `length` holds its last byte back until `guard` has finished
   * @param length bytes, with `length`
   */
  constructor(framing: SentFraming, length: number, guard: BodyGuard | undefined) {
    this.#framing = framing;
    this.#length = length;
    this.#guard = guard;
  }

  /** The head has been written to this socket. */
  begin(socket: OwnedSocket): void {
    this.#writer = new BodyWriter(socket, this.#framing, this.#length);
  }

  /** Passes a piece on. @returns false to read no more for now */
  write(buffer: Buffer, start: number, end: number): boolean | Refusal {
    const writer = this.#writer;
    if (writer === undefined || start === end) return true;
    this.#guard?.update(buffer.subarray(start, end));
    if (this.#framing !== 'length') return writer.write(buffer, start, end);
    if (end - start > writer.remaining - this.#heldBytes()) return mismatch('longer');
    let last = end;
    if (this.#guard !== undefined && end - start === writer.remaining) {
      // The app must not see the end of a body before it is proven.
      last = end - 1;
      corkForThisTurn(writer.socket);
      this.#lastByte = Buffer.from(buffer.subarray(last, end));
    }
    return writer.write(buffer, start, last);
  }

  /** The body is complete: shows its end, unless there is something wrong with it. */
  end(trailers: ReadonlyMap<string, string> | undefined): Refusal | undefined {
    const writer = this.#writer;
    if (writer === undefined) return undefined;
    if (this.#framing === 'length' && writer.remaining !== this.#heldBytes()) return mismatch('shorter');
    const finished = this.#guard?.finish(trailers) ?? '';
    if (typeof finished !== 'string') return finished;
    if (this.#lastByte !== undefined) writer.write(this.#lastByte, 0, 1);
    writer.end(finished);
    return undefined;
  }

  #heldBytes(): number {
    return this.#lastByte === undefined ? 0 : 1;
  }
}

const mismatch = (is: 'longer' | 'shorter'): Refusal => ({
  reason: 'digest-mismatch',
  detail: `The body is ${is} than the length that was signed.`,
});
