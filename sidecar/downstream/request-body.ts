import { ChunkedDecoder, type OnPiece } from '../http1/chunked-decoder.ts';
import type { BodyKind } from '../http1/request-head.ts';

/** One body as it arrives: finds its end and gives its pieces on. */
export class RequestBody {
  readonly #onPiece: OnPiece;
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
  ) {
    this.#onPiece = onPiece;
    this.#decoder = framing.body === 'chunked' ? new ChunkedDecoder(trailerLimit, onPiece) : undefined;
    this.#remaining = framing.contentLength;
  }

  /**
   * Uses up what belongs to the body.
   *
   * @returns where the body ended, or `end` when it goes on
   * @throws {import('../http1/chunked-decoder.ts').ChunkedError}
   */
  use(buffer: Buffer, start: number, end: number): number {
    if (this.#decoder !== undefined) return this.#decoder.decode(buffer, start, end);
    const length = Math.min(end - start, this.#remaining);
    this.#remaining -= length;
    this.#onPiece(buffer, start, start + length);
    return start + length;
  }

  get ended(): boolean {
    return this.#decoder === undefined ? this.#remaining === 0 : this.#decoder.ended;
  }

  /** The trailer section, lower-case name to combined value; undefined when there was none. */
  get trailers(): ReadonlyMap<string, string> | undefined {
    return this.#decoder?.trailers;
  }
}
