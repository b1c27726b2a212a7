/**
 * Names in shared memory, each in a record of fixed size: found by every thread, added by one. A record is written
 * before it is counted, and never moves.
 */
export class NameTable {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #at: number;
  readonly #recordWords: number;
  /** Words of a record before the length and the name. */
  readonly #before: number;
  readonly #countAt: number;
  readonly #most: number;
  readonly #known = new Map<string, number>();

  constructor(
    words: Int32Array,
    table: { at: number; recordWords: number; before: number; countAt: number; most: number },
  ) {
    this.#words = words;
    this.#bytes = new Uint8Array(words.buffer);
    this.#at = table.at;
    this.#recordWords = table.recordWords;
    this.#before = table.before;
    this.#countAt = table.countAt;
    this.#most = table.most;
  }

  get count(): number {
    return Atomics.load(this.#words, this.#countAt);
  }

  /** The word at which the record of index `index` begins. */
  record(index: number): number {
    return this.#at + index * this.#recordWords;
  }

  name(index: number): string {
    const at = this.record(index) + this.#before;
    const length = this.#words[at] as number;
    return Buffer.from(this.#bytes.slice(4 * (at + 1), 4 * (at + 1) + length)).toString('latin1');
  }

  /** The index of a name; -1 when no thread has added it. */
  find(name: string): number {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    for (let index = this.#known.size; index < this.count; index++) this.#known.set(this.name(index), index);
    return this.#known.get(name) ?? -1;
  }

  /** Adds a name, if it is new; -1 when it does not fit. One thread only. */
  add(name: string): number {
    const found = this.find(name);
    if (found >= 0) return found;
    const index = this.count;
    if (index === this.#most || name.length > 4 * (this.#recordWords - this.#before - 1)) return -1;
    const at = this.record(index) + this.#before;
    this.#bytes.set(Buffer.from(name, 'latin1'), 4 * (at + 1));
    this.#words[at] = name.length;
    Atomics.store(this.#words, this.#countAt, index + 1);
    return this.find(name);
  }
}
