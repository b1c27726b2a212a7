import { ChunkSizeLimit } from './chunk-size.ts';
import { chunkBuffer, llhttpError, memory, type Sink, SuspendedParse } from './llhttp.ts';

/** Room for a chunk's size and line ends, beside which at most 256 bytes of extensions are taken. */
const framingBytes = 24 + 256;

/** llhttp takes bodies only behind a head, so each one is given this. */
const syntheticHead = Buffer.from('POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n', 'latin1');

/** Where the pieces of a chunked body go. Returning is the only thing it may do with the decoder. */
export type OnPiece = (buffer: Buffer, start: number, end: number) => void;

/** A chunked body that cannot be decoded. */
export class ChunkedError extends Error {
  readonly code = 'malformed-chunk';
  constructor(message: string) {
    super(message);
    this.name = 'ChunkedError';
  }
}

/**
 * Decodes one chunked body, in whatever pieces it comes (RFC 9112 §7.1). llhttp finds its end; the sizes of chunks, of
 * their extensions and of the trailer section are bounded here.
 */
export class ChunkedDecoder implements Sink {
  readonly #parse = new SuspendedParse();
  readonly #trailerLimit: number;
  readonly #onPiece: OnPiece;
  readonly #sizes = new ChunkSizeLimit();
  #headSeen = false;
  #ended = false;
  #fault = '';
  /** Bytes of framing since the last byte of data, or of the trailer section so far. */
  #overhead = 0;
  /** Address up to which the present piece is accounted for. */
  #counted = 0;
  /** What to subtract from an address to get an index of `#source`. */
  #shift = 0;
  #source: Buffer = chunkBuffer;
  #trailers: Map<string, string> | undefined;
  #name = '';
  #value = '';
  #inValue = false;

  /**
   * @param trailerLimit most bytes of the trailer section
   * @param onPiece gets each piece of data as a range of the buffer being decoded
   */
  constructor(trailerLimit: number, onPiece: OnPiece) {
    this.#trailerLimit = trailerLimit;
    this.#onPiece = onPiece;
    syntheticHead.copy(chunkBuffer);
    this.#parse.begin(chunkBuffer.byteOffset, syntheticHead.length, this);
  }

  /** Whether the last chunk and the trailer section have been read. */
  get ended(): boolean {
    return this.#ended;
  }

  /** The trailer section, lower-case name to combined value; undefined when it was empty. */
  get trailers(): ReadonlyMap<string, string> | undefined {
    return this.#trailers;
  }

  /**
   * Decodes `start` to `end` of `buffer`.
   *
   * @returns where the body ended, or `end` when it goes on
   * @throws {ChunkedError}
   */
  decode(buffer: Buffer, start: number, end: number): number {
    const base = chunkBuffer.byteOffset;
    let at = start;
    while (at < end && !this.#ended) {
      const length = Math.min(end - at, chunkBuffer.length);
      buffer.copy(chunkBuffer, 0, at, at + length);
      this.#source = buffer;
      this.#shift = base - at;
      this.#counted = base;
      const error = this.#parse.resume(base, length, this);
      const stoppedAt = this.#ended ? this.#parse.stoppedAt : base + length;
      if (this.#fault === '') this.#count(stoppedAt);
      if (this.#fault !== '') throw new ChunkedError(this.#fault);
      if (error !== llhttpError.ok && !this.#ended) throw new ChunkedError(this.#parse.reason);
      at = stoppedAt - this.#shift;
    }
    return at;
  }

  #count(upTo: number): number {
    if (this.#trailers === undefined && !this.#sizes.takes(this.#counted, upTo)) {
      this.#fault = 'a chunk size of more than 15 digits or past 2^53 - 1';
    }
    this.#overhead += upTo - this.#counted;
    this.#counted = upTo;
    if (this.#fault !== '') return llhttpError.user;
    if (this.#trailers === undefined && this.#overhead > framingBytes) {
      this.#fault = 'a chunk extension of more than 256 bytes';
    } else if (this.#overhead > this.#trailerLimit) {
      this.#fault = `a trailer section of more than ${this.#trailerLimit} bytes`;
    }
    return this.#fault === '' ? 0 : llhttpError.user;
  }

  onMessageBegin(): number {
    return 0;
  }
  onUrl(): number {
    return 0;
  }
  onStatus(): number {
    return 0;
  }
  onHeadersComplete(): number {
    this.#headSeen = true;
    return 0;
  }
  onBody(at: number, length: number): number {
    if (this.#count(at) !== 0) return llhttpError.user;
    this.#overhead = 0;
    this.#counted = at + length;
    this.#sizes.next();
    this.#onPiece(this.#source, at - this.#shift, at + length - this.#shift);
    return 0;
  }
  onFieldName(at: number, length: number): number {
    if (!this.#headSeen) return 0;
    if (this.#trailers === undefined) {
      if (this.#count(at) !== 0) return llhttpError.user;
      this.#overhead = 0;
      this.#trailers = new Map();
    }
    if (this.#inValue) this.#keepTrailer();
    this.#name += memory.latin1Slice(at, at + length);
    return 0;
  }
  onFieldValue(at: number, length: number): number {
    if (!this.#headSeen) return 0;
    this.#inValue = true;
    this.#value += memory.latin1Slice(at, at + length);
    return 0;
  }
  onMessageComplete(): number {
    if (this.#name !== '') this.#keepTrailer();
    this.#ended = true;
    return llhttpError.paused;
  }

  #keepTrailer(): void {
    const name = this.#name.toLowerCase();
    const value = this.#value.trim();
    const before = this.#trailers?.get(name);
    this.#trailers?.set(name, before === undefined ? value : `${before}, ${value}`);
    this.#name = '';
    this.#value = '';
    this.#inValue = false;
  }
}
