import { createHash, randomUUID } from 'node:crypto';
import type { ChunkStore } from '../store/chunk-store.ts';
import type { StagedContent } from '../terms/file.ts';
import { type ContentRange, type ContentStore, type OpenContent, uploadLifetimeMs } from './content-store.ts';

/** One row; small enough for a server's memory, large enough to be quick. */
const chunkBytes = 256 * 1024;
const placesPerPortion = 200;

/** Contents in PostgreSQL, in chunks: all core services share them, and a backup of the database has them. */
export class DatabaseStore implements ContentStore {
  readonly #chunks: ChunkStore;

  constructor(chunks: ChunkStore) {
    this.#chunks = chunks;
  }

  async stage(chunks: AsyncIterable<Buffer>): Promise<StagedContent> {
    const place = randomUUID();
    const hash = createHash('sha256');
    let size = 0;
    let number = 0;
    try {
      for await (const piece of inPieces(chunks, chunkBytes)) {
        hash.update(piece);
        size += piece.length;
        await this.#chunks.add(place, number++, piece);
      }
      return { place, size, sha256: hash.digest('hex') };
    } catch (error) {
      await this.remove(place).catch(() => undefined);
      throw error;
    }
  }

  async open(place: string): Promise<OpenContent | undefined> {
    const size = await this.#chunks.sizeOf(place);
    const read = (range: ContentRange) => this.#read(place, range);
    // Rows of a place never change.
    return { size, identity: place, read, async close() {} };
  }

  async openLegacy(): Promise<undefined> {
    return undefined;
  }

  remove(place: string): Promise<void> {
    return this.#chunks.remove(place);
  }

  async *oldPlaces(): AsyncGenerator<string[]> {
    for (let after = ''; ; ) {
      const places = await this.#chunks.oldPlaces(after, uploadLifetimeMs, placesPerPortion);
      if (places.length > 0) yield places;
      if (places.length < placesPerPortion) return;
      after = places.at(-1) as string;
    }
  }

  async *#read(place: string, { start, end }: ContentRange): AsyncGenerator<Buffer> {
    for (let number = Math.floor(start / chunkBytes); number * chunkBytes <= end; number++) {
      const chunk = await this.#chunks.read(place, number);
      if (chunk === undefined) return;
      const from = number * chunkBytes;
      yield chunk.subarray(Math.max(0, start - from), Math.min(chunk.length, end + 1 - from));
    }
  }
}

/** Pieces of one length, but for the last. */
async function* inPieces(chunks: AsyncIterable<Buffer>, length: number): AsyncGenerator<Buffer> {
  let waiting: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    waiting.push(chunk);
    bytes += chunk.length;
    while (bytes >= length) {
      const joined = Buffer.concat(waiting);
      yield joined.subarray(0, length);
      waiting = [joined.subarray(length)];
      bytes -= length;
    }
  }
  if (bytes > 0) yield Buffer.concat(waiting);
}
