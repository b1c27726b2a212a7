import { hash } from 'node:crypto';

const blockBytes = 64;
const hashBytes = 32;

/** Room for an inner pad and a message of usual length; all keys use it in turn. */
const room = Buffer.allocUnsafeSlow(4096);
/** Its first bytes, by number: to make such a view costs as much as to hash a block. */
const views: (Buffer | undefined)[] = new Array(room.length + 1).fill(undefined);
/** Whose pad stands in it. */
let padded: PairKey | undefined;

/**
 * HMAC-SHA256 under one pair key (RFC 2104), as two one-shot hashes over pads made once: for inputs as short as
 * a signature base that costs less than `createHmac`.
 */
export class PairKey {
  readonly #inner: Buffer;
  readonly #outer: Buffer;

  /** @param key 32 to 64 bytes (a fleet's keys have 32); it is not kept, only its pads are. */
  constructor(key: Uint8Array) {
    if (key.length < hashBytes || key.length > blockBytes)
      throw new RangeError(`a pair key has ${hashBytes} bytes, this has ${key.length}`);
    this.#inner = Buffer.alloc(blockBytes).fill(0x36);
    this.#outer = Buffer.alloc(blockBytes + hashBytes).fill(0x5c, 0, blockBytes);
    for (let i = 0; i < key.length; i++) {
      this.#inner[i]! ^= key[i]!;
      this.#outer[i]! ^= key[i]!;
    }
  }

  /** The MAC of a latin1 text, in base64. */
  macBase64(text: string): string {
    return hash('sha256', this.#outerInput(text), 'base64');
  }

  /** The MAC of a latin1 text, written as 32 bytes into `out`. */
  macInto(text: string, out: Buffer): void {
    out.latin1Write(hash('sha256', this.#outerInput(text), 'latin1' as 'hex'), 0, hashBytes);
  }

  #outerInput(text: string): Uint8Array {
    const message = this.#padded(blockBytes + text.length);
    message.latin1Write(text, blockBytes, text.length);
    this.#outer.latin1Write(hash('sha256', message, 'latin1' as 'hex'), blockBytes, hashBytes);
    return this.#outer;
  }

  /** So many bytes, of which the inner pad is the first ones. */
  #padded(length: number): Buffer {
    if (length > room.length) {
      // Not of the memory that buffers share: a pad is as good as its key.
      const message = Buffer.allocUnsafeSlow(length);
      message.set(this.#inner);
      return message;
    }
    if (padded !== this) {
      room.set(this.#inner);
      padded = this;
    }
    views[length] ??= room.subarray(0, length);
    return views[length];
  }
}
