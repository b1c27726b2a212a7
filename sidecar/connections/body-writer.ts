import type { OwnedSocket } from './socket.ts';
import { writeRange } from './socket.ts';

/** How the end of a body that we send is shown (RFC 9112 §6). */
export type SentFraming = 'none' | 'length' | 'chunked' | 'until-close';

/** A body of at most so many bytes goes out in one write with its head. */
export const smallBytes = 16 * 1024;

const smallChunk = 4096;

/** Writes one body, piece by piece, each piece at once. */
export class BodyWriter {
  readonly socket: OwnedSocket;
  readonly framing: SentFraming;
  /** With `length`: bytes still to come. */
  #remaining: number;

  /** @param length bytes of the body where `framing` is `length` */
  constructor(socket: OwnedSocket, framing: SentFraming, length: number) {
    this.socket = socket;
    this.framing = framing;
    this.#remaining = length;
  }

  /** With `length`: bytes still to be written. */
  get remaining(): number {
    return this.#remaining;
  }

  /** Writes a piece; false when the socket would rather wait for `drain`. */
  write(buffer: Buffer, start: number, end: number): boolean {
    const length = end - start;
    if (length === 0) return !this.socket.writableNeedDrain;
    this.#remaining -= length;
    if (this.framing !== 'chunked') return writeRange(this.socket, buffer, start, end);
    if (length <= smallChunk) {
      return this.socket.write(`${length.toString(16)}\r\n${buffer.latin1Slice(start, end)}\r\n`, 'latin1');
    }
    this.socket.cork();
    this.socket.write(`${length.toString(16)}\r\n`, 'latin1');
    writeRange(this.socket, buffer, start, end);
    const more = this.socket.write('\r\n', 'latin1');
    this.socket.uncork();
    return more;
  }

  /**
   * Shows the end of the body.
   *
   * @param trailers whole field lines with their CRLF, for a chunked body
   */
  end(trailers = ''): void {
    if (this.framing === 'chunked') this.socket.write(`0\r\n${trailers}\r\n`, 'latin1');
  }

  /**
   * Sends a byte that says nothing, a leading zero of the next chunk's size: a peer that has gone answers with a
   * reset, one that has only shut down its own half goes on.
   */
  probe(): void {
    if (this.framing === 'chunked') this.socket.write('0', 'latin1');
  }
}
