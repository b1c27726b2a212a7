import { giveBack, takeMemory } from './body-buffers.ts';
import type { WriteProgress } from './ends.ts';

/** What is taken for a body of unknown length, and for what comes behind the announced length. */
const roomBytes = 64 * 1024;

/** One buffer, and how much of it is filled. */
interface Room {
  readonly buffer: Buffer;
  filled: number;
}

/** A copy of bytes in the order in which they came, in buffers that are used again. */
export class KeptBytes {
  /** Bytes that are expected; 0 when that is not known. */
  readonly announced: number;
  length = 0;
  readonly #rooms: Room[] = [];

  constructor(announcedBytes: number | undefined) {
    this.announced = announcedBytes ?? 0;
  }

  /** @returns the copy, which stays as it is until `giveBack` */
  add(buffer: Buffer, start: number, end: number): Buffer {
    const bytes = end - start;
    let room = this.#rooms.at(-1);
    if (room === undefined || room.buffer.length - room.filled < bytes) {
      room = { buffer: takeMemory(this.#roomFor(bytes)), filled: 0 };
      this.#rooms.push(room);
    }
    const at = room.filled;
    room.filled += buffer.copy(room.buffer, at, start, end);
    this.length += bytes;
    return room.buffer.subarray(at, room.filled);
  }

  #roomFor(bytes: number): number {
    const missing = this.announced - this.length;
    return missing >= bytes ? missing : Math.max(bytes, roomBytes);
  }

  /** What was added, in as few pieces as its memory has. */
  get pieces(): Buffer[] {
    return this.#rooms.map(({ buffer, filled }) => buffer.subarray(0, filled));
  }

  /** Gives the memory back. @param destination may still write out of it */
  giveBack(destination: WriteProgress | undefined): void {
    for (const { buffer } of this.#rooms.splice(0))
      giveBack({ buffer, destination, until: destination?.bytesWritten ?? 0 });
  }
}
