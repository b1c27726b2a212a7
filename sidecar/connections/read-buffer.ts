import { assemblyBuffer, assemblyBytes } from '../http1/llhttp.ts';
import { isShared } from './socket.ts';

const crlfcrlf = Buffer.from('\r\n\r\n', 'latin1');

/** Bytes of a connection that have arrived and are not used yet. */
export class ReadBuffer {
  /** Where they are while they are being used, from `at` to `end`. */
  buffer: Buffer = assemblyBuffer;
  at = 0;
  end = 0;
  /** What is kept until it can be used. */
  #kept: Buffer | undefined = undefined;

  get hasKept(): boolean {
    return this.#kept !== undefined;
  }

  /** Takes up what a read brought, with what was kept before it. */
  take(buffer: Buffer, length: number): void {
    const kept = this.#kept;
    this.at = 0;
    if (kept === undefined) {
      this.buffer = buffer;
      this.end = length;
      return;
    }
    this.#kept = undefined;
    this.buffer = assemblyBuffer;
    kept.copy(assemblyBuffer);
    buffer.copy(assemblyBuffer, kept.length, 0, length);
    this.end = kept.length + length;
  }

  /** Takes up what was kept; false when that is nothing. */
  takeKept(): boolean {
    const kept = this.#kept;
    if (kept === undefined) return false;
    this.#kept = undefined;
    this.buffer = kept.length <= assemblyBytes ? assemblyBuffer : kept;
    if (kept.length <= assemblyBytes) kept.copy(assemblyBuffer);
    this.at = 0;
    this.end = kept.length;
    return true;
  }

  /** Keeps a copy of what a read brought. */
  keep(buffer: Buffer, start: number, end: number): void {
    const piece = Buffer.from(buffer.subarray(start, end));
    this.#kept = this.#kept === undefined ? piece : Buffer.concat([this.#kept, piece]);
  }

  /** Keeps what is left. */
  keepRest(): void {
    if (this.at < this.end) this.keep(this.buffer, this.at, this.end);
    this.at = this.end;
  }

  /** Gives away what was kept. */
  giveKept(): Buffer | undefined {
    const kept = this.#kept;
    this.#kept = undefined;
    return kept;
  }

  /** Where the head that begins at `at` ends, in memory of llhttp then; -1 when it is not complete yet. */
  headEnd(): number {
    if (!isShared(this.buffer)) {
      // Behind a body: heads are parsed in the memory of llhttp only.
      this.end = Math.min(this.end, this.at + assemblyBytes);
      this.buffer.copy(assemblyBuffer, 0, this.at, this.end);
      this.end -= this.at;
      this.at = 0;
      this.buffer = assemblyBuffer;
    }
    const { buffer, end } = this;
    let start = this.at;
    // RFC 9112 §2.2: empty lines before a request line are ignored.
    while (start + 1 < end && buffer[start] === 0x0d && buffer[start + 1] === 0x0a) start += 2;
    this.at = start;
    if (start === end) return -1;
    const blank = buffer.indexOf(crlfcrlf, start);
    return blank < 0 || blank + 4 > end ? -1 : blank + 4;
  }
}
