/** Bytes of a frame's header that come before its extended length and its masking key (RFC 6455 §5.2). */
const fixedBytes = 2;

/** Finds where WebSocket frames end in one direction of a tunnel, without looking at what is in them. */
export class WebSocketFrames {
  /** Header bytes of the present frame, as far as they have come. */
  readonly #header = Buffer.alloc(10);
  #headerBytes = 0;
  /** Bytes of masking key and payload still to come; undefined while the header is incomplete. */
  #remaining: number | undefined = undefined;

  /** Whether all that has come are whole frames. */
  get isBetweenFrames(): boolean {
    return this.#headerBytes === 0;
  }

  /** Takes bytes as they pass. @returns where in them the last whole frame ends; undefined when none ends there */
  take(buffer: Buffer, start: number, end: number): number | undefined {
    let boundary: number | undefined;
    let at = start;
    while (at < end) {
      if (this.#remaining === undefined) {
        this.#header[this.#headerBytes++] = buffer[at++] as number;
        this.#readHeader();
      } else {
        const length = Math.min(this.#remaining, end - at);
        this.#remaining -= length;
        at += length;
      }
      if (this.#remaining === 0) {
        this.#remaining = undefined;
        this.#headerBytes = 0;
        boundary = at;
      }
    }
    return boundary;
  }

  #readHeader(): void {
    if (this.#headerBytes < fixedBytes) return;
    const second = this.#header[1] as number;
    const short = second & 0x7f;
    const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
    if (this.#headerBytes < fixedBytes + lengthBytes) return;
    const length =
      lengthBytes === 0
        ? short
        : lengthBytes === 2
          ? this.#header.readUInt16BE(fixedBytes)
          : Number(this.#header.readBigUInt64BE(fixedBytes));
    this.#remaining = length + ((second & 0x80) === 0 ? 0 : 4);
  }
}

/** A Close frame with status 1001 (going away, RFC 6455 §7.4.1), as a server sends it. */
export const goingAway = Buffer.from([0x88, 0x02, 0x03, 0xe9]);
/** The same as a client sends it: masked, with a key of zeros. */
export const maskedGoingAway = Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9]);
