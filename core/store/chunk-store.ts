import type { Database } from '../database/database.ts';

/** Contents in the database, in numbered chunks. */
export interface ChunkStore {
  add(place: string, number: number, data: Buffer): Promise<void>;
  /** Bytes of all chunks of a place; 0 when there are none. */
  sizeOf(place: string): Promise<number>;
  read(place: string, number: number): Promise<Buffer | undefined>;
  remove(place: string): Promise<void>;
  /** Places after one, in order, whose first chunk was added so long ago. */
  oldPlaces(after: string, ageMs: number, limit: number): Promise<string[]>;
}

export function chunkStore(database: Database): ChunkStore {
  return {
    add: (place, number, data) => database.call('chunks.add', { place, number, data }),
    sizeOf: (place) => database.call('chunks.sizeOf', { place }),
    read: (place, number) => database.call('chunks.read', { place, number }),
    remove: (place) => database.call('chunks.remove', { place }),
    oldPlaces: (after, ageMs, limit) => database.call('chunks.oldPlaces', { after, ageMs, limit }),
  };
}
