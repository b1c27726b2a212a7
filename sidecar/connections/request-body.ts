import { ChunkedDecoder, ChunkedError, type OnPiece } from '../http1/chunked-decoder.ts';
import type { BodyKind } from '../http1/request-head.ts';
import type { Trailers } from '../http1/trailer-fields.ts';
import type { Refusal } from '../terms/refusal.ts';
import type { ReadBuffer } from './read-buffer.ts';

/** One body as it arrives: finds its end and gives its pieces on. */
export class RequestBody {
  readonly #onPiece: OnPiece;
  /** To be called by whoever uses the body, once it has `ended`. */
  readonly onEnd: (trailers: Trailers | undefined) => void;
  readonly #decoder: ChunkedDecoder | undefined;
  #remaining: number;

  /**
   * @param framing of the head: `length` or `chunked`, and bytes with `length`
   * @param trailerLimit most bytes of the trailer section
   */
  constructor(
    framing: { readonly body: BodyKind; readonly contentLength: number },
    trailerLimit: number,
    onPiece: OnPiece,
    onEnd: (trailers: Trailers | undefined) => void,
  ) {
    this.#onPiece = onPiece;
    this.onEnd = onEnd;
    this.#decoder = framing.body === 'chunked' ? new ChunkedDecoder(trailerLimit, onPiece) : undefined;
    this.#remaining = framing.contentLength;
  }

  /** It may be read into whatever buffer there is. */
  readonly room = undefined;

  /** Uses up what belongs to the body; a refusal says that it is broken. */
  use(unread: ReadBuffer): Refusal | undefined {
    const { buffer, at, end } = unread;
    if (this.#decoder === undefined) {
      const length = Math.min(end - at, this.#remaining);
      this.#remaining -= length;
      unread.at = at + length;
      this.#onPiece(buffer, at, at + length);
      return undefined;
    }
    try {
      unread.at = this.#decoder.decode(buffer, at, end);
      return undefined;
    } catch (error) {
      if (!(error instanceof ChunkedError)) throw error;
      unread.at = end;
      return { reason: 'malformed-request', detail: `The chunked body is broken: ${error.message}.` };
    }
  }

  /** Bytes that are still to come; Infinity when that is not known. */
  get remaining(): number {
    return this.#decoder === undefined ? this.#remaining : Number.POSITIVE_INFINITY;
  }

  get ended(): boolean {
    return this.#decoder === undefined ? this.#remaining === 0 : this.#decoder.ended;
  }

  get trailers(): Trailers | undefined {
    return this.#decoder?.trailers;
  }
}
