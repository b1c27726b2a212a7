import { readBuffer } from '../http1/llhttp.ts';

/** Bytes at the start of a buffer. */
export interface Filled {
  readonly buffer: Buffer;
  readonly length: number;
}

/** What is to be done about a record that was read. */
export type Joined =
  | ({ readonly step: 'use' } & Filled)
  /** It waits for the end of the turn in `buffer`, and the next one is read behind it. */
  | ({ readonly step: 'wait'; readonly isFirst: boolean } & Filled);

/**
 * Joins the TLS records of a body that one turn of the event loop reads. node:tls gives 16 KiB at a time: passed on one
 * by one, each would cost a system call, and where it is sealed again a record of its own.
 */
export class JoinedRecords {
  #waiting: Filled | undefined = undefined;

  /**
   * Takes up a record.
   *
   * @param into where it was read, at the start or behind what waits
   * @param length bytes, at most as many as there was room
   * @param bodyBuffer where its owner wants a body; undefined while none is in progress
   */
  add(into: Buffer, length: number, bodyBuffer: Buffer | undefined): Joined {
    const waiting = this.#waiting;
    let buffer = waiting?.buffer ?? into;
    if (waiting === undefined && into !== bodyBuffer) {
      // It was read behind the last body, or into the buffer of all sockets because the body had not begun.
      buffer = bodyBuffer !== undefined && length <= bodyBuffer.length ? bodyBuffer : readBuffer;
      if (buffer !== into) into.copy(buffer, 0, 0, length);
    }
    const filled = (waiting?.length ?? 0) + length;
    if (bodyBuffer === undefined || buffer === readBuffer || filled === buffer.length) {
      this.#waiting = undefined;
      return { step: 'use', buffer, length: filled };
    }
    this.#waiting = { buffer, length: filled };
    return { step: 'wait', buffer, length: filled, isFirst: waiting === undefined };
  }

  /** Gives what waits. */
  take(): Filled | undefined {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    return waiting;
  }
}
