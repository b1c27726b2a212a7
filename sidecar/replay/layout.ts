import { randomBytes } from 'node:crypto';

/**
 * Where everything lies in the one shared buffer, in 32-bit words. The buffer is reserved at its full size at
 * start, but the operating system gives memory only to pages that were written to.
 */

export const pageWords = 1024;
export const entryWords = 4;
export const entriesPerPage = pageWords / entryWords;
/** Past this many entries a page splits: probing stays short, and there is always a free place to end at. */
export const splitAt = 224;

export const partitions = 16;
export const mostBuckets = 64;
export const bucketSeconds = 60;
export const mostCallers = 2048;
export const mostKids = 4096;

/** A directory of pages has at most 2^20 places, in blocks of 2^0 to 2^10 pages. */
export const mostDepth = 20;
export const blockClasses = 11;

const words = { next: 0 };
const region = (length: number) => {
  const start = words.next;
  words.next += length;
  return start;
};

/** Entries that the memory may hold. */
export const atCapacity = region(1);
/** Lock of the page allocator and of the list of buckets. */
export const atAllocatorLock = region(1);
/** The first page never used yet, and the number of pages. Page 0 is never used: 0 means none. */
export const atNextPage = region(1);
export const atPageCount = region(1);
/** Every `created` up to this second is refused: its bucket may be forgotten. */
export const atHorizon = region(1);
/** Every `created` past this second is ahead of any clock; and past this one on a plain connection, unknown. */
export const atCeiling = region(1);
export const atPlainCeiling = region(1);
/** Every `created` up to this second is refused on a sealed connection. */
export const atSealedFloor = region(1);
/** 1 once a request on a plain connection was admitted since the marks were last written. */
export const atPlainSeen = region(1);
/** Entries of callers beyond what each is guaranteed, and how many those may be. */
export const atBorrowed = region(1);
export const atGuarantee = region(1);
/** 1 once the memory has been handed over. */
export const atClosed = region(1);
export const atCallerCount = region(1);
export const atKidCount = region(1);
export const atSecret = region(4);
/** One free list for each size of block. */
export const atFreeBlocks = region(blockClasses);
/** Per partition, a cache line each: its lock, and the nonces it ever admitted (it wraps). */
export const lineWords = 16;
words.next = Math.ceil(words.next / lineWords) * lineWords;
export const atLocks = region(partitions * lineWords);
/** Per bucket: its minute (seconds since the epoch / 60), -1 when free. */
export const atMinutes = region(mostBuckets);
/** Per bucket and partition: the first page of its directory, and the directory's depth. */
export const atDirectories = region(mostBuckets * partitions * 2);
/** Per bucket and caller: entries. */
export const atBucketCallers = region(mostBuckets * mostCallers);
/** Per caller: entries, length of the name, name. */
export const callerWords = 18;
export const atCallers = region(mostCallers * callerWords);
/** Per key id: durable mark, refused up to, caller, length of the key id, key id. */
export const kidWords = 36;
export const atKids = region(mostKids * kidWords);
/** Per page: entries and depth of a page in use, the next one of a free block. */
const atPageInfo = words.next;

/** What worker threads pass on to each other: the memory itself. */
export type SharedMemory = SharedArrayBuffer;

export interface Views {
  readonly words: Int32Array;
  /** Where the information on pages begins, and where the pages do. */
  readonly pageInfo: number;
  readonly pages: number;
}

/** Bytes of address space that a nonce is given: more than the worst filling of pages needs. */
const reservedBytesPerEntry = 40;
/** Directories and half-empty pages of a memory that is nearly empty. */
const leastPages = 2 * mostBuckets * partitions;

export function viewsOf(buffer: SharedMemory): Views {
  const view = new Int32Array(buffer);
  const pageCount = view[atPageCount] as number;
  return { words: view, pageInfo: atPageInfo, pages: startOfPages(pageCount) };
}

const startOfPages = (pageCount: number) => Math.ceil((atPageInfo + pageCount) / pageWords) * pageWords;

/** Reserves a memory with a secret of its own. @param capacity nonces */
export function reserve(capacity: number): SharedMemory {
  const pageCount = leastPages + Math.ceil((capacity * reservedBytesPerEntry) / (4 * pageWords));
  const buffer = new SharedArrayBuffer(4 * (startOfPages(pageCount) + pageCount * pageWords));
  const view = new Int32Array(buffer);
  view[atCapacity] = capacity;
  view[atPageCount] = pageCount;
  view[atNextPage] = 1;
  view[atGuarantee] = capacity >>> 1;
  view[atCeiling] = view[atPlainCeiling] = -1;
  view.fill(-1, atMinutes, atMinutes + mostBuckets);
  new Uint8Array(buffer, 4 * atSecret, 16).set(randomBytes(16));
  return buffer;
}
