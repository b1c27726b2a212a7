import type { Signer } from './signer.ts';

/** Heads signed longer ago than this are not sent any more; the window that peers allow is 300 s. */
const longestAgeMs = 100_000;

/**
 * Heads that are signed before a run begins, each with a nonce of its own and sent once: while the run lasts the
 * generator only sends. More than were prepared are signed as they are needed.
 */
export class PreparedHeads {
  readonly #signer: Signer;
  #memory = Buffer.alloc(0);
  #headBytes = 0;
  #at = 0;
  #signedMs = 0;

  constructor(signer: Signer) {
    this.#signer = signer;
  }

  prepare(count: number): void {
    // All are of one length: so are nonces, times and MACs.
    const { length } = this.#signer.head();
    this.#headBytes = length;
    this.#memory = Buffer.allocUnsafeSlow(count * length);
    this.#at = 0;
    this.#signedMs = performance.now();
    for (let from = 0; from < this.#memory.length; from += length) {
      const head = this.#signer.head();
      if (head.length !== length) throw new Error('the heads of one call differ in length');
      this.#memory.latin1Write(head, from, length);
    }
  }

  next(nowMs: number): string {
    const from = this.#at;
    if (from >= this.#memory.length || nowMs - this.#signedMs > longestAgeMs) return this.#signer.head();
    this.#at += this.#headBytes;
    return this.#memory.latin1Slice(from, this.#at);
  }
}
