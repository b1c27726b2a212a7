import { hash } from 'node:crypto';

const blockBytes = 64;
const hashBytes = 32;

/**
 * HMAC-SHA256 under one pair key (RFC 2104), as two one-shot hashes over pads made once: for inputs as short as
 * a signature base that costs less than `createHmac`.
 */
export class PairKey {
  readonly #inner: Buffer;
  readonly #outer: Buffer;
  /** Room for the inner pad and a message; grown when a longer one comes. */
  #message: Buffer;

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
    this.#message = Buffer.allocUnsafeSlow(1024);
    this.#message.set(this.#inner);
  }

  /** The MAC of a latin1 text, in base64. */
  macBase64(text: string): string {
    return hash('sha256', this.#outerInput(text), 'base64');
  }

  /** The MAC of a latin1 text, written as 32 bytes into `out`. */
  macInto(text: string, out: Buffer): void {
    out.write(hash('sha256', this.#outerInput(text), 'latin1' as 'hex'), 0, hashBytes, 'latin1');
  }

  #outerInput(text: string): Uint8Array {
    const length = blockBytes + text.length;
    if (this.#message.length < length) {
      this.#message = Buffer.allocUnsafeSlow(2 * length);
      this.#message.set(this.#inner);
    }
    this.#message.write(text, blockBytes, text.length, 'latin1');
    const innerHash = hash('sha256', this.#message.subarray(0, length), 'latin1' as 'hex');
    this.#outer.write(innerHash, blockBytes, hashBytes, 'latin1');
    return this.#outer;
  }
}
