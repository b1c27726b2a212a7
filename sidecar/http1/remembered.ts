interface Entry<Value> {
  readonly text: string;
  readonly value: Value;
}

/**
 * What was made of texts that come again and again: bounded, and quickest for the one that came last, which is
 * found without a hash.
 */
export class Remembered<Value> {
  readonly #entries = new Map<string, Entry<Value>>();
  readonly #most: number;
  #last: Entry<Value> | undefined = undefined;

  constructor(most: number) {
    this.#most = most;
  }

  get(text: string): Value | undefined {
    const last = this.#last;
    if (last !== undefined && last.text === text) return last.value;
    const entry = this.#entries.get(text);
    if (entry !== undefined) this.#last = entry;
    return entry?.value;
  }

  /** @param text latin1; a copy is kept, because a slice of a head would keep the whole head alive */
  set(text: string, value: Value): void {
    if (this.#entries.size >= this.#most) this.#entries.clear();
    const own = Buffer.from(text, 'latin1').latin1Slice();
    this.#entries.set(own, { text: own, value });
  }
}
