import {
  atAllocatorLock,
  atDirectories,
  atFreeBlocks,
  atNextPage,
  atPageCount,
  entriesPerPage,
  entryWords,
  mostDepth,
  pageWords,
  partitions,
  splitAt,
  type Views,
} from './layout.ts';
import { lock, unlock } from './spin-lock.ts';

const depthShift = 16;
const countMask = 0xffff;
/** Bits of the second word that choose the partition; the ones above choose the page. */
const partitionBits = 4;

export const partitionOf = (w1: number) => w1 & (partitions - 1);

/**
 * Sets of 128-bit entries, one for each bucket and partition, by extendible hashing: a set is a directory of pages
 * of 4 KiB, and a full page splits in two. So growing never moves more than one page, whatever the size of the
 * set. All calls for one partition must hold its lock.
 */
export class PageStore {
  readonly #words: Int32Array;
  readonly #pageInfo: number;
  readonly #pages: number;
  readonly #splitting = new Int32Array(pageWords);
  /** Where `find` ended: the page, and in it the place at which the entry is or belongs. */
  #page = 0;
  #place = 0;

  constructor({ words, pageInfo, pages }: Views) {
    this.#words = words;
    this.#pageInfo = pageInfo;
    this.#pages = pages;
  }

  /** Whether the set holds an entry; `insert` then needs no second search. `w0` is not 0. */
  find(bucket: number, w0: number, w1: number, w2: number, w3: number): boolean {
    const words = this.#words;
    const directory = atDirectories + 2 * (bucket * partitions + partitionOf(w1));
    const first = words[directory] as number;
    this.#page = 0;
    if (first === 0) return false;
    const mask = (1 << (words[directory + 1] as number)) - 1;
    const page = words[this.#address(first) + ((w1 >>> partitionBits) & mask)] as number;
    this.#page = page;
    const base = this.#address(page);
    let place = base + entryWords * (w0 & (entriesPerPage - 1));
    for (;;) {
      const found = words[place] as number;
      if (found === 0) break;
      if (found === w0 && words[place + 1] === w1 && words[place + 2] === w2 && words[place + 3] === w3)
        return true;
      place += entryWords;
      if (place === base + pageWords) place = base;
    }
    this.#place = place;
    return false;
  }

  /** Adds an entry that `find` has just not found; false when there is no memory left. */
  insert(bucket: number, w0: number, w1: number, w2: number, w3: number): boolean {
    const words = this.#words;
    if (this.#page === 0) {
      if (!this.#begin(bucket, partitionOf(w1))) return false;
      this.find(bucket, w0, w1, w2, w3);
    }
    while (((words[this.#pageInfo + this.#page] as number) & countMask) >= splitAt) {
      if (!this.#split(bucket, w1)) return false;
      this.find(bucket, w0, w1, w2, w3);
    }
    const place = this.#place;
    words[place] = w0;
    words[place + 1] = w1;
    words[place + 2] = w2;
    words[place + 3] = w3;
    words[this.#pageInfo + this.#page]!++;
    return true;
  }

  /** Empties a set. */
  clear(bucket: number, partition: number): void {
    const words = this.#words;
    const directory = atDirectories + 2 * (bucket * partitions + partition);
    const first = words[directory] as number;
    if (first === 0) return;
    const depth = words[directory + 1] as number;
    lock(words, atAllocatorLock);
    const places = this.#address(first);
    // Downwards: freeing a page ends what is known of it, and its lowest place is the one that counts.
    for (let i = (1 << depth) - 1; i >= 0; i--) {
      const page = words[places + i] as number;
      if (this.#isLowestPlace(page, i)) this.#free(page, 0);
    }
    this.#free(first, blockClass(depth));
    unlock(words, atAllocatorLock);
    words[directory] = 0;
    words[directory + 1] = 0;
  }

  /** The entries of a set, page by page; the words of a page are valid until the next one is asked for. */
  *pages(bucket: number, partition: number): Generator<Int32Array> {
    const words = this.#words;
    const directory = atDirectories + 2 * (bucket * partitions + partition);
    const first = words[directory] as number;
    if (first === 0) return;
    const packed = new Int32Array(pageWords);
    const places = this.#address(first);
    for (let i = 0; i < 1 << (words[directory + 1] as number); i++) {
      const page = words[places + i] as number;
      if (!this.#isLowestPlace(page, i)) continue;
      const base = this.#address(page);
      let length = 0;
      for (let at = base; at < base + pageWords; at += entryWords) {
        if (words[at] === 0) continue;
        for (let word = 0; word < entryWords; word++) packed[length++] = words[at + word] as number;
      }
      yield packed.subarray(0, length);
    }
  }

  /** Bytes of pages that were ever in use: what the memory takes of the machine, its fixed part aside. */
  get bytes(): number {
    return 4 * pageWords * ((Atomics.load(this.#words, atNextPage) as number) - 1);
  }

  #address(page: number): number {
    return this.#pages + page * pageWords;
  }

  /** A page has several places in a directory that is deeper than itself: is this the lowest of them? */
  #isLowestPlace(page: number, place: number): boolean {
    return place < 1 << ((this.#words[this.#pageInfo + page] as number) >>> depthShift);
  }

  #begin(bucket: number, partition: number): boolean {
    const first = this.#allocate(0);
    const page = first === 0 ? 0 : this.#allocate(0);
    if (page === 0) return false;
    this.#clearPage(page);
    this.#words[this.#pageInfo + page] = 0;
    this.#words[this.#address(first)] = page;
    const directory = atDirectories + 2 * (bucket * partitions + partition);
    this.#words[directory + 1] = 0;
    this.#words[directory] = first;
    return true;
  }

  /** Splits the page that `find` ended at. */
  #split(bucket: number, w1: number): boolean {
    const words = this.#words;
    const directory = atDirectories + 2 * (bucket * partitions + partitionOf(w1));
    const page = this.#page;
    const depth = (words[this.#pageInfo + page] as number) >>> depthShift;
    if (depth === words[directory + 1] && !this.#doubleDirectory(directory)) return false;
    const sibling = this.#allocate(0);
    if (sibling === 0) return false;

    const base = this.#address(page);
    this.#splitting.set(words.subarray(base, base + pageWords));
    this.#clearPage(page);
    this.#clearPage(sibling);
    const bit = 1 << (depth + partitionBits);
    const counts = [0, 0];
    for (let at = 0; at < pageWords; at += entryWords) {
      const w0 = this.#splitting[at] as number;
      if (w0 === 0) continue;
      const side = ((this.#splitting[at + 1] as number) & bit) === 0 ? 0 : 1;
      counts[side]!++;
      const target = this.#address(side === 0 ? page : sibling);
      let place = target + entryWords * (w0 & (entriesPerPage - 1));
      while (words[place] !== 0) {
        place += entryWords;
        if (place === target + pageWords) place = target;
      }
      words[place] = w0;
      words[place + 1] = this.#splitting[at + 1] as number;
      words[place + 2] = this.#splitting[at + 2] as number;
      words[place + 3] = this.#splitting[at + 3] as number;
    }
    words[this.#pageInfo + page] = (counts[0] as number) | ((depth + 1) << depthShift);
    words[this.#pageInfo + sibling] = (counts[1] as number) | ((depth + 1) << depthShift);

    const places = this.#address(words[directory] as number);
    const size = 1 << (words[directory + 1] as number);
    const step = 1 << depth;
    for (let i = ((w1 >>> partitionBits) & (step - 1)) | step; i < size; i += 2 * step)
      words[places + i] = sibling;
    return true;
  }

  #doubleDirectory(directory: number): boolean {
    const words = this.#words;
    const depth = words[directory + 1] as number;
    if (depth === mostDepth) return false;
    const old = words[directory] as number;
    const size = 1 << depth;
    const block = blockClass(depth + 1);
    if (block === blockClass(depth)) {
      const places = this.#address(old);
      words.copyWithin(places + size, places, places + size);
    } else {
      const larger = this.#allocate(block);
      if (larger === 0) return false;
      const from = this.#address(old);
      const to = this.#address(larger);
      words.copyWithin(to, from, from + size);
      words.copyWithin(to + size, from, from + size);
      words[directory] = larger;
      lock(words, atAllocatorLock);
      this.#free(old, blockClass(depth));
      unlock(words, atAllocatorLock);
    }
    words[directory + 1] = depth + 1;
    return true;
  }

  #clearPage(page: number): void {
    const base = this.#address(page);
    this.#words.fill(0, base, base + pageWords);
  }

  /** A block of 2^`block` pages, with whatever is in them; 0 when there is none left. */
  #allocate(block: number): number {
    const words = this.#words;
    lock(words, atAllocatorLock);
    let page = words[atFreeBlocks + block] as number;
    if (page !== 0) words[atFreeBlocks + block] = words[this.#pageInfo + page] as number;
    else {
      page = words[atNextPage] as number;
      if (page + (1 << block) > (words[atPageCount] as number)) page = 0;
      else words[atNextPage] = page + (1 << block);
    }
    unlock(words, atAllocatorLock);
    return page;
  }

  /** Under the allocator's lock. */
  #free(page: number, block: number): void {
    this.#words[this.#pageInfo + page] = this.#words[atFreeBlocks + block] as number;
    this.#words[atFreeBlocks + block] = page;
  }
}

/** The size of block that a directory of this depth needs: a page holds 1,024 places. */
const blockClass = (depth: number) => Math.max(0, depth - 10);
