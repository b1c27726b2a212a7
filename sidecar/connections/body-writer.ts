import type { FieldSection } from '../http1/field-section.ts';
import type { SentFraming } from '../http1/outgoing-message.ts';
import type { OwnedSocket } from './socket.ts';
import { writeRange } from './socket.ts';

/** A body of at most so many bytes goes out in one write with its head. */
export const smallBytes = 16 * 1024;

const smallChunk = 4096;

/** Writes one body, piece by piece, each piece at once. */
export class BodyWriter {
  readonly socket: OwnedSocket;
  readonly framing: SentFraming;

  constructor(socket: OwnedSocket, framing: SentFraming) {
    this.socket = socket;
    this.framing = framing;
  }

  /** Writes a piece; false when the socket would rather wait for `drain`. */
  write(buffer: Buffer, start: number, end: number): boolean {
    const length = end - start;
    if (length === 0) return !this.socket.writableNeedDrain;
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

  /** Shows the end of the body. @param trailers for a chunked body */
  end(trailers: FieldSection | undefined): void {
    if (this.framing !== 'chunked') return;
    this.socket.write(`0\r\n${trailers?.http1Lines ?? ''}\r\n`, 'latin1');
  }

  /**
   * Sends a byte that says nothing, a leading zero of the next chunk's size: a peer that has gone answers with a
   * reset, one that has only shut down its own half goes on.
   */
  probe(): void {
    if (this.framing === 'chunked') this.socket.write('0', 'latin1');
  }
}
