import { takeMemory } from '../exchange/body-buffers.ts';
import type { ReadBuffer } from './read-buffer.ts';

/** A body of a known length that is wanted as a whole: read into one buffer, most of it by the socket itself. */
export class CollectedBody {
  readonly trailers = undefined;
  readonly #memory: Buffer;
  readonly #length: number;
  readonly #then: (body: Buffer) => void;
  #filled = 0;
  #room: Buffer | undefined;

  constructor(length: number, then: (body: Buffer) => void) {
    this.#memory = takeMemory(length);
    this.#length = length;
    this.#then = then;
  }

  /** Where the socket should read what is still missing, and not a byte more. */
  get room(): Buffer {
    this.#room ??= this.#memory.subarray(this.#filled, this.#length);
    return this.#room;
  }

  /** Uses up what belongs to the body. */
  use(unread: ReadBuffer): undefined {
    const { buffer, at, end } = unread;
    const length = Math.min(end - at, this.#length - this.#filled);
    if (buffer !== this.#room) buffer.copy(this.#memory, this.#filled, at, at + length);
    this.#filled += length;
    this.#room = undefined;
    unread.at = at + length;
  }

  get ended(): boolean {
    return this.#filled === this.#length;
  }

  /** To be called by whoever uses the body, once it has `ended`. */
  onEnd(): void {
    this.#then(this.#memory.subarray(0, this.#length));
  }
}
