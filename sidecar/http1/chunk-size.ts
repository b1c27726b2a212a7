import { memory } from './llhttp.ts';

/** As in a Content-Length: more digits than any body needs, few enough for every parser to read them alike. */
const mostDigits = 15;

/** By byte: the value of a hexadecimal digit; 16 for every other byte. */
const digitOf = Uint8Array.from({ length: 256 }, (_, byte) => {
  const value = Number.parseInt(String.fromCharCode(byte), 16);
  return Number.isNaN(value) ? 16 : value;
});

type Place = 'before' | 'digits' | 'behind';

/**
 * Bounds the sizes of chunks, which llhttp takes up to 2^64 - 1: a size that another parser reads as a smaller number
 * would make it see the end of the message elsewhere (RFC 9112 §7.1).
 */
export class ChunkSizeLimit {
  #place: Place = 'before';
  #digits = 0;
  #size = 0;

  /** The data of a chunk has begun: what comes behind it is the line of the next one. */
  next(): void {
    this.#place = 'before';
    this.#digits = 0;
    this.#size = 0;
  }

  /**
   * Reads on in what stands between the data of chunks, in llhttp's memory.
   *
   * @returns false once a size has more than 15 digits, or is past 2^53 - 1
   */
  takes(start: number, end: number): boolean {
    for (let at = start; at < end && this.#place !== 'behind'; at++) {
      const digit = digitOf[memory[at]!]!;
      if (digit < 16) {
        this.#place = 'digits';
        this.#size = 16 * this.#size + digit;
        if (++this.#digits > mostDigits || this.#size > Number.MAX_SAFE_INTEGER) return false;
      } else if (this.#place === 'digits') this.#place = 'behind';
    }
    return true;
  }
}
