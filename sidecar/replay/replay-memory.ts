import { windowSeconds } from '../signature/tags.ts';
import type { HopKind } from '../terms/handshake.ts';
import { KeyedHash, type Prefix } from './keyed-hash.ts';
import {
  atAllocatorLock,
  atBorrowed,
  atBucketCallers,
  atCallerCount,
  atCallers,
  atCapacity,
  atCeiling,
  atClosed,
  atGuarantee,
  atHorizon,
  atKidCount,
  atKids,
  atLocks,
  atMinutes,
  atPlainCeiling,
  atPlainSeen,
  atSealedFloor,
  atSecret,
  bucketSeconds,
  callerWords,
  kidWords,
  lineWords,
  mostBuckets,
  mostCallers,
  mostKids,
  partitions,
  reserve,
  type SharedMemory,
  viewsOf,
} from './layout.ts';
import { NameTable } from './name-table.ts';
import { PageStore, partitionOf } from './page-store.ts';
import { lock, unlock } from './spin-lock.ts';

/**
 * - `fresh`: never seen, and remembered from now on;
 * - `replayed`: seen before;
 * - `full`: the caller has used up its part of the memory;
 * - `lost`: the memory does not reach back to this request, so nobody can say;
 * - `ahead`: `created` is further ahead than the clock of retention allows;
 * - `unmarked`: the durable mark of the key id does not cover `created` yet (see `Marks.cover`), ask again then.
 */
export type Admission = 'fresh' | 'replayed' | 'full' | 'lost' | 'ahead' | 'unmarked';

/** Seconds past `created` for which a nonce is remembered: the window, and the second that `created` leaves open. */
export const retentionSeconds = windowSeconds + 1;

/** Seconds by which `created` may be ahead of the clock of retention. */
export const mostAheadSeconds = retentionSeconds + 1;

/** Nonces that the memory holds at most, unless told otherwise; it takes 27 to 36 bytes for each that it has. */
const defaultCapacity = 16_000_000;

/** A bucket is forgotten in so many steps that none of them is felt. */
const partitionsAtOnce = 2;

const lastSecond = (minute: number) => (minute + 1) * bucketSeconds - 1;

/** What one thread knows of a key id. */
interface Kid {
  /** Where its record begins: durable mark, refused up to, caller. */
  readonly at: number;
  readonly caller: number;
  readonly prefix: Prefix;
}

/**
 * Remembers every (key id, nonce) that was accepted, until it can't be accepted any more. One memory serves any number
 * of worker threads, each with an instance of its own; checking and inserting are one atomic step.
 *
 * Nonces lie in buckets by the minute of `created`, which the MAC binds to them, so whole buckets are forgotten and
 * one is searched. Callers have a guaranteed share of one half of the memory, and use the other half in common.
 */
export class ReplayMemory {
  /** What another thread makes its own instance from. */
  readonly shared: SharedMemory;
  readonly #words: Int32Array;
  /** Per bucket: its minute, -1 when it is free. */
  readonly #minutes: Int32Array;
  readonly #store: PageStore;
  readonly #hash: KeyedHash;
  readonly kids: NameTable;
  readonly callers: NameTable;
  readonly #kids = new Map<string, Kid>();
  /** Per minute (its low bits): in which bucket this thread saw it last. */
  readonly #bucketOf = new Int32Array(mostBuckets);
  /** The bucket that is being forgotten, -1 for none, and its first partition that is not yet. */
  #forgetting = -1;
  #nextPartition = 0;

  constructor(shared: SharedMemory = reserve(defaultCapacity)) {
    this.shared = shared;
    const views = viewsOf(shared);
    this.#words = views.words;
    this.#minutes = views.words.subarray(atMinutes, atMinutes + mostBuckets);
    this.#store = new PageStore(views);
    this.#hash = new KeyedHash(this.#words.slice(atSecret, atSecret + 4));
    this.kids = new NameTable(this.#words, {
      at: atKids,
      recordWords: kidWords,
      before: 3,
      countAt: atKidCount,
      most: mostKids,
    });
    this.callers = new NameTable(this.#words, {
      at: atCallers,
      recordWords: callerWords,
      before: 1,
      countAt: atCallerCount,
      most: mostCallers,
    });
  }

  /** An empty memory. @param capacity nonces that it can hold */
  static ofCapacity(capacity: number): ReplayMemory {
    return new ReplayMemory(reserve(capacity));
  }

  /**
   * Decides whether a request that is proven in every other way was accepted before, and remembers it if not.
   *
   * @param created seconds since the epoch
   * @param hop only what comes in the clear can be recorded on the way and sent again by somebody else
   */
  admit(kid: string, nonce: string, created: number, hop: HopKind = 'plain'): Admission {
    const key = this.#kids.get(kid) ?? this.#learn(kid);
    if (key === undefined) return 'unmarked';
    const words = this.#words;
    if (created > (words[atCeiling] as number) >>> 0) return 'ahead';
    if (hop === 'plain') {
      if (created <= (words[key.at + 1] as number) >>> 0) return 'lost';
      if (created > (words[atPlainCeiling] as number) >>> 0) return 'lost';
      // Marks only rise: a thread that reads an older one refuses more, not less.
      if (created > (words[key.at] as number) >>> 0) return 'unmarked';
      words[atPlainSeen] = 1;
    } else if (created <= (words[atSealedFloor] as number) >>> 0) return 'lost';

    const hash = this.#hash;
    hash.hash(key.prefix, nonce);
    const { w1, w2, w3 } = hash;
    const w0 = hash.w0 === 0 ? 1 : hash.w0;
    const lockAt = atLocks + partitionOf(w1) * lineWords;
    lock(words, lockAt);
    const admission = this.#admit(key.caller, created, w0, w1, w2, w3);
    if (admission === 'fresh') words[lockAt + 1]!++;
    unlock(words, lockAt);
    return admission;
  }

  /**
   * Under the lock of the partition: whoever closes the memory or forgets a bucket takes that as well, once it has said
   * so, and thus plain reads see it. What other partitions count too is added up atomically.
   */
  #admit(caller: number, created: number, w0: number, w1: number, w2: number, w3: number): Admission {
    const words = this.#words;
    if (words[atClosed] !== 0 || created <= (words[atHorizon] as number) >>> 0) return 'lost';
    const bucket = this.#bucket(Math.floor(created / bucketSeconds));
    if (bucket < 0) return 'full';
    if (this.#store.find(bucket, w0, w1, w2, w3)) return 'replayed';

    const countAt = atCallers + caller * callerWords;
    const guarantee = words[atGuarantee] as number;
    const borrows = (words[countAt] as number) >= guarantee;
    if (borrows) {
      const common = (words[atCapacity] as number) - guarantee * Math.max(1, this.callers.count);
      if ((words[atBorrowed] as number) >= common) return 'full';
    }
    if (!this.#store.insert(bucket, w0, w1, w2, w3)) return 'full';
    if (borrows) Atomics.add(words, atBorrowed, 1);
    Atomics.add(words, countAt, 1);
    Atomics.add(words, atBucketCallers + bucket * mostCallers + caller, 1);
    return 'fresh';
  }

  /** What this thread needs to know of a key id that `use` has made known. */
  #learn(kid: string): Kid | undefined {
    const index = this.kids.find(kid);
    if (index < 0) return undefined;
    const at = this.kids.record(index);
    const key = { at, caller: this.#words[at + 2] as number, prefix: this.#hash.prefix(kid) };
    this.#kids.set(kid, key);
    return key;
  }

  /** The bucket of a minute, a new one if need be; -1 when there is none. */
  #bucket(minute: number): number {
    const guess = this.#bucketOf[minute & (mostBuckets - 1)] as number;
    if (this.#minutes[guess] === minute) return guess;
    lock(this.#words, atAllocatorLock);
    let bucket = this.#minutes.indexOf(minute);
    if (bucket < 0) bucket = this.#minutes.indexOf(-1);
    if (bucket >= 0) {
      Atomics.store(this.#minutes, bucket, minute);
      this.#bucketOf[minute & (mostBuckets - 1)] = bucket;
    }
    unlock(this.#words, atAllocatorLock);
    return bucket;
  }

  /**
   * Makes a key id known. One thread only.
   *
   * @param mark seconds since the epoch up to which a durable mark covers `created`
   * @param refusedTo seconds since the epoch up to which this process can't know what was accepted; 0 for none
   * @returns false when the table of key ids is full, or the key id too long
   */
  use(kid: string, mark: number, refusedTo: number): boolean {
    const known = this.kids.find(kid);
    if (known >= 0) return true;
    const caller = this.callers.add(kid.slice(0, Math.max(0, kid.lastIndexOf('/'))));
    if (caller < 0 || this.kids.count === mostKids) return false;
    const at = this.kids.record(this.kids.count);
    this.#words[at] = mark;
    this.#words[at + 1] = refusedTo;
    this.#words[at + 2] = caller;
    this.#share();
    return this.kids.add(kid) >= 0;
  }

  /**
   * Tells the time, once a second. One thread only.
   *
   * @param nowSeconds by the clock of retention, see `RetentionClock`
   * @param plainAheadSeconds by how much `created` may be ahead of it on a plain connection
   */
  setClock(nowSeconds: number, plainAheadSeconds: number = mostAheadSeconds): void {
    Atomics.store(this.#words, atCeiling, nowSeconds + mostAheadSeconds);
    Atomics.store(this.#words, atPlainCeiling, nowSeconds + plainAheadSeconds);
  }

  /** Up to which `created` requests on sealed connections are refused, in seconds since the epoch; 0 for none. */
  get sealedFloor(): number {
    return Atomics.load(this.#words, atSealedFloor) >>> 0;
  }

  set sealedFloor(second: number) {
    Atomics.store(this.#words, atSealedFloor, second);
  }

  /** Whether a request on a plain connection was admitted since this was last asked. */
  takePlainSeen(): boolean {
    return Atomics.exchange(this.#words, atPlainSeen, 0) !== 0;
  }

  /** The durable mark of a key id that is in use; it only rises. */
  raiseMark(kid: string, mark: number): void {
    const index = this.kids.find(kid);
    if (index >= 0) Atomics.store(this.#words, this.kids.record(index), mark);
  }

  /** The durable mark of a key id in seconds since the epoch; undefined when it is not in use. */
  mark(kid: string): number | undefined {
    const index = this.kids.find(kid);
    return index < 0 ? undefined : Atomics.load(this.#words, this.kids.record(index)) >>> 0;
  }

  /** Up to which `created` a key id is refused; 0 for none. */
  refusedTo(kid: string): number {
    const index = this.kids.find(kid);
    return index < 0 ? 0 : Atomics.load(this.#words, this.kids.record(index) + 1) >>> 0;
  }

  /** Newly divides the memory among the callers. */
  #share(): void {
    const words = this.#words;
    const guarantee = Math.floor((words[atCapacity] as number) / 2 / Math.max(1, this.callers.count));
    Atomics.store(words, atGuarantee, guarantee);
    let borrowed = 0;
    for (let caller = 0; caller < this.callers.count; caller++)
      borrowed += Math.max(0, Atomics.load(words, atCallers + caller * callerWords) - guarantee);
    Atomics.store(words, atBorrowed, borrowed);
  }

  /**
   * Forgets the buckets whose last nonce has had its time, and refuses from then on whatever belongs to them. One
   * thread only.
   *
   * @param nowSeconds by the clock of retention, see `RetentionClock`
   */
  forget(nowSeconds: number): void {
    while (this.forgetSome(nowSeconds));
  }

  /** Does a part of `forget`, in a fraction of a millisecond for each million nonces; false when nothing is left to do. */
  forgetSome(nowSeconds: number): boolean {
    if (this.#forgetting < 0) {
      const minute = this.#dueMinute(nowSeconds);
      if (minute === undefined) return false;
      this.refuseUpTo(lastSecond(minute));
      this.#forgetting = this.#minutes.indexOf(minute);
      this.#nextPartition = 0;
    }
    const words = this.#words;
    for (let i = 0; i < partitionsAtOnce; i++, this.#nextPartition++) {
      const lockAt = atLocks + this.#nextPartition * lineWords;
      lock(words, lockAt);
      this.#store.clear(this.#forgetting, this.#nextPartition);
      unlock(words, lockAt);
    }
    if (this.#nextPartition === partitions) this.#freeBucket();
    return true;
  }

  #dueMinute(nowSeconds: number): number | undefined {
    const minutes = this.#liveMinutes();
    // Clocks that step may leave buckets about; there is always one free for the next minute.
    const tooMany = minutes.length - (mostBuckets - 2);
    return minutes.find((minute, i) => {
      const last = lastSecond(minute);
      return i < tooMany || last + retentionSeconds <= nowSeconds || last <= this.horizon;
    });
  }

  #freeBucket(): void {
    const words = this.#words;
    const bucket = this.#forgetting;
    for (let caller = 0; caller < this.callers.count; caller++) {
      const count = Atomics.exchange(words, atBucketCallers + bucket * mostCallers + caller, 0);
      Atomics.sub(words, atCallers + caller * callerWords, count);
    }
    Atomics.store(this.#minutes, bucket, -1);
    this.#forgetting = -1;
    this.#share();
  }

  /** Refuses every `created` up to a second, from now on. */
  refuseUpTo(second: number): void {
    if (second > this.horizon) Atomics.store(this.#words, atHorizon, second);
  }

  /** The second up to which everything is refused, because it may have been forgotten. */
  get horizon(): number {
    return Atomics.load(this.#words, atHorizon) >>> 0;
  }

  /** Nonces remembered. */
  get entries(): number {
    let total = 0;
    for (let caller = 0; caller < this.callers.count; caller++)
      total += Atomics.load(this.#words, atCallers + caller * callerWords);
    return total;
  }

  /** Nonces ever admitted, modulo 2^32. */
  get admitted(): number {
    let total = 0;
    for (let partition = 0; partition < partitions; partition++)
      total += Atomics.load(this.#words, atLocks + partition * lineWords + 1);
    return total >>> 0;
  }

  /** Bytes that the nonces take. */
  get bytes(): number {
    return this.#store.bytes;
  }

  /** Verifies nothing from now on: when this returns, no thread is deciding about a request any more. */
  close(): void {
    Atomics.store(this.#words, atClosed, 1);
    for (let partition = 0; partition < partitions; partition++) {
      lock(this.#words, atLocks + partition * lineWords);
      unlock(this.#words, atLocks + partition * lineWords);
    }
  }

  /** Minutes that have a bucket, oldest first. */
  #liveMinutes(): number[] {
    return [...this.#minutes].filter((minute) => minute >= 0).sort((a, b) => a - b);
  }

  /** What a successor needs to know of each minute, oldest first. For a closed memory. */
  minutes(): { minute: number; callers: Record<string, number> }[] {
    return this.#liveMinutes().map((minute) => {
      const bucket = this.#minutes.indexOf(minute);
      const callers: Record<string, number> = {};
      for (let caller = 0; caller < this.callers.count; caller++) {
        const count = this.#words[atBucketCallers + bucket * mostCallers + caller] as number;
        if (count > 0) callers[this.callers.name(caller)] = count;
      }
      return { minute, callers };
    });
  }

  /** The entries of a minute, some at a time, four words each; they are valid until the next are asked for. */
  *entriesOf(minute: number): Generator<Int32Array> {
    const bucket = this.#minutes.indexOf(minute);
    for (let partition = 0; partition < partitions; partition++) yield* this.#store.pages(bucket, partition);
  }

  /** The secret of the hash: it goes with the entries, and nowhere else. */
  get secret(): Int32Array {
    return this.#words.slice(atSecret, atSecret + 4);
  }

  /**
   * A memory that goes on with another's entries.
   *
   * @param secret of the memory that the entries come from
   */
  static withSecret(secret: Int32Array, capacity = defaultCapacity): ReplayMemory {
    const shared = reserve(capacity);
    new Int32Array(shared).set(secret, atSecret);
    return new ReplayMemory(shared);
  }

  /** Takes over how many entries each caller has in a minute. Before anything is admitted. */
  restoreCounts(minute: number, callers: Readonly<Record<string, number>>): void {
    const words = this.#words;
    const bucket = this.#bucket(minute);
    for (const [name, count] of Object.entries(callers)) {
      const caller = this.callers.add(name);
      if (caller < 0) continue;
      words[atBucketCallers + bucket * mostCallers + caller]! += count;
      words[atCallers + caller * callerWords]! += count;
    }
    this.#share();
  }

  /** Takes over entries of a minute. Before anything is admitted; false when they do not fit. */
  restoreEntries(minute: number, entries: Int32Array): boolean {
    const bucket = this.#bucket(minute);
    if (bucket < 0) return false;
    for (let at = 0; at + 3 < entries.length; at += 4) {
      const w0 = entries[at] as number;
      const w1 = entries[at + 1] as number;
      const w2 = entries[at + 2] as number;
      const w3 = entries[at + 3] as number;
      if (!this.#store.find(bucket, w0, w1, w2, w3) && !this.#store.insert(bucket, w0, w1, w2, w3))
        return false;
    }
    return true;
  }
}
