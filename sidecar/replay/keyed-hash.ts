/**
 * Chaskey-12 (ISO/IEC 29192-6): a MAC with a 128-bit key and a 128-bit tag, made of 32-bit additions, rotations
 * and exclusive ors, so that JavaScript computes it in a fraction of a microsecond. Whoever does not know the key
 * can neither aim at a place in the memory nor make two nonces collide.
 */
const rounds = 12;

const rotate = (x: number, by: number) => (x << by) | (x >>> (32 - by));

/** The state after a whole number of blocks: four words. */
export type Prefix = Int32Array;

export class KeyedHash {
  readonly #key: Int32Array;
  /** Sub-keys for a last block that is whole, and for one that is padded. */
  readonly #whole: Int32Array;
  readonly #padded: Int32Array;

  /** The tag of the last `hash`, in four words. */
  w0 = 0;
  w1 = 0;
  w2 = 0;
  w3 = 0;

  /** @param key four words; random and secret */
  constructor(key: Int32Array) {
    this.#key = key.slice(0, 4);
    this.#whole = timesTwo(this.#key);
    this.#padded = timesTwo(this.#whole);
  }

  /** What every hash of a pair with this first half begins with: the tag of `text` as a first block. */
  prefix(text: string): Prefix {
    this.hash(this.#key, text);
    const [k0, k1, k2, k3] = this.#key as unknown as [number, number, number, number];
    return permute(this.w0 ^ k0, this.w1 ^ k1, this.w2 ^ k2, this.w3 ^ k3);
  }

  /**
   * Hashes a latin1 text after a prefix; the tag is in `w0` to `w3`.
   *
   * @param prefix of `prefix`; the key itself for a text alone
   */
  hash(prefix: Prefix, text: string): void {
    const { length } = text;
    let v0 = prefix[0] as number;
    let v1 = prefix[1] as number;
    let v2 = prefix[2] as number;
    let v3 = prefix[3] as number;
    // The last block, whole or not, is not empty unless the text is.
    const blocks = length === 0 ? 1 : (length + 15) >>> 4;
    let last = this.#whole;
    for (let block = 0; block < blocks; block++) {
      const at = block << 4;
      if (at + 16 <= length) {
        v0 ^= word(text, at);
        v1 ^= word(text, at + 4);
        v2 ^= word(text, at + 8);
        v3 ^= word(text, at + 12);
      } else {
        last = this.#padded;
        v0 ^= paddedWord(text, at);
        v1 ^= paddedWord(text, at + 4);
        v2 ^= paddedWord(text, at + 8);
        v3 ^= paddedWord(text, at + 12);
      }
      if (block === blocks - 1) {
        v0 ^= last[0] as number;
        v1 ^= last[1] as number;
        v2 ^= last[2] as number;
        v3 ^= last[3] as number;
      }
      for (let round = 0; round < rounds; round++) {
        v0 = (v0 + v1) | 0;
        v1 = rotate(v1, 5) ^ v0;
        v0 = rotate(v0, 16);
        v2 = (v2 + v3) | 0;
        v3 = rotate(v3, 8) ^ v2;
        v0 = (v0 + v3) | 0;
        v3 = rotate(v3, 13) ^ v0;
        v2 = (v2 + v1) | 0;
        v1 = rotate(v1, 7) ^ v2;
        v2 = rotate(v2, 16);
      }
    }
    this.w0 = v0 ^ (last[0] as number);
    this.w1 = v1 ^ (last[1] as number);
    this.w2 = v2 ^ (last[2] as number);
    this.w3 = v3 ^ (last[3] as number);
  }
}

function word(text: string, at: number): number {
  return (
    text.charCodeAt(at) |
    (text.charCodeAt(at + 1) << 8) |
    (text.charCodeAt(at + 2) << 16) |
    (text.charCodeAt(at + 3) << 24)
  );
}

/** A word of the last block: after the text a 1, and then zeros. */
function paddedWord(text: string, at: number): number {
  const left = text.length - at;
  if (left >= 4) return word(text, at);
  if (left < 0) return 0;
  let value = 1 << (8 * left);
  for (let i = 0; i < left; i++) value |= text.charCodeAt(at + i) << (8 * i);
  return value;
}

function permute(v0: number, v1: number, v2: number, v3: number): Int32Array {
  for (let round = 0; round < rounds; round++) {
    v0 = (v0 + v1) | 0;
    v1 = rotate(v1, 5) ^ v0;
    v0 = rotate(v0, 16);
    v2 = (v2 + v3) | 0;
    v3 = rotate(v3, 8) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = rotate(v3, 13) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = rotate(v1, 7) ^ v2;
    v2 = rotate(v2, 16);
  }
  return Int32Array.of(v0, v1, v2, v3);
}

/** Multiplication by two in GF(2^128). */
function timesTwo(words: Int32Array): Int32Array {
  const [a, b, c, d] = words as unknown as [number, number, number, number];
  return Int32Array.of(
    (a << 1) ^ (d < 0 ? 0x87 : 0),
    (b << 1) | (a >>> 31),
    (c << 1) | (b >>> 31),
    (d << 1) | (c >>> 31),
  );
}
