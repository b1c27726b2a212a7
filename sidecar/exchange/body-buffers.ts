import type { WriteProgress } from './ends.ts';

const KiB = 1024;

/** A buffer that is not read into any more, and how far its destination has got when it has written all of it. */
export interface SpentBuffer {
  readonly buffer: Buffer;
  readonly destination: WriteProgress | undefined;
  readonly until: number;
}

/**
 * Buffers of one size that are used again and again: left to the garbage collector, the buffers of a fast transfer
 * pile up between its runs, and each of them brings the next run nearer.
 */
class BufferPool {
  readonly bytes: number;
  readonly #mostKept: number;
  readonly #kept: Buffer[] = [];
  /** Buffers out of which a write is under way. */
  readonly #writing: SpentBuffer[] = [];
  /** The memory that came from here: nobody else has a part of it. */
  readonly #own = new WeakSet<ArrayBufferLike>();

  constructor(bytes: number, mostKept: number) {
    this.bytes = bytes;
    this.#mostKept = mostKept;
  }

  take(): Buffer {
    const used = this.#kept.pop() ?? this.#written();
    if (used !== undefined) return used;
    const fresh = Buffer.allocUnsafeSlow(this.bytes);
    this.#own.add(fresh.buffer);
    return fresh;
  }

  owns(memory: ArrayBufferLike): boolean {
    return this.#own.has(memory);
  }

  giveBack(spent: SpentBuffer): void {
    const { buffer, destination } = spent;
    if (destination === undefined || destination.writableLength === 0) {
      if (this.#kept.length < this.#mostKept) this.#kept.push(buffer);
    } else if (this.#writing.length < this.#mostKept) this.#writing.push(spent);
  }

  #written(): Buffer | undefined {
    for (let index = this.#writing.length - 1; index >= 0; index--) {
      const { buffer, destination, until } = this.#writing[index] as SpentBuffer & {
        destination: WriteProgress;
      };
      const isWritten = destination.bytesWritten - destination.writableLength >= until;
      if (!isWritten && !destination.destroyed) continue;
      this.#writing.splice(index, 1);
      // A socket that was destroyed may not have let go of it yet.
      if (!destination.destroyed) return buffer;
    }
    return undefined;
  }
}

/** The small ones hold a TLS record, or a usual body, with a head before it. */
const pools = [
  new BufferPool(20 * KiB, 128),
  new BufferPool(72 * KiB, 64),
  new BufferPool(256 * KiB, 16),
  new BufferPool(1024 * KiB, 4),
];

/** A buffer of at least so many bytes, for one body or a piece of one. */
export function takeBuffer(bytes: number): Buffer {
  return pools.find((pool) => bytes <= pool.bytes)?.take() ?? Buffer.allocUnsafeSlow(bytes);
}

/** The body of a request is often small: memory for it comes out of Node's own pool. */
const smallBytes = 4 * KiB;

/** Memory for at least so many bytes; `giveBack` takes it, whatever its size. */
export function takeMemory(bytes: number): Buffer {
  return bytes <= smallBytes ? Buffer.allocUnsafe(bytes) : takeBuffer(bytes);
}

/**
 * Gives a buffer back, once. One out of which its destination still writes is used again when that has written all
 * that it was given until now.
 */
export function giveBack(spent: SpentBuffer): void {
  pools.find(({ bytes }) => bytes === spent.buffer.length)?.giveBack(spent);
}

/** Gives back, once, the memory of a body that `destination` was given to write; what came from elsewhere is left alone. */
export function giveBackBody(body: Buffer, destination: WriteProgress): void {
  const memory = body.buffer;
  pools
    .find((pool) => pool.owns(memory))
    ?.giveBack({ buffer: Buffer.from(memory), destination, until: destination.bytesWritten });
}
