import type { StagedContent } from '../terms/file.ts';

/** Bytes of a content, both ends included. */
export interface ContentRange {
  readonly start: number;
  readonly end: number;
}

/** A content that is opened for reading. */
export interface OpenContent {
  /** Bytes, as they are in the store. */
  readonly size: number;
  /** Changes whenever the stored bytes may have changed. */
  readonly identity: string;
  read(range: ContentRange): AsyncIterable<Buffer>;
  close(): Promise<void>;
}

/** How AutoBot may have stored a content. */
export interface LegacyContent {
  readonly sessionId: string;
  readonly path: string;
  readonly storedName: string;
}

/**
 * The contents of all files, for one core service or several. What is in it is known by its place, which is never used
 * twice; the database knows which places count.
 */
export interface ContentStore {
  /**
   * Stores a content as it comes. It is durable when this resolves.
   *
   * @throws {import('../terms/errors.ts').CoreError} storage_full
   */
  stage(chunks: AsyncIterable<Buffer>): Promise<StagedContent>;
  /** Undefined when it is not there. */
  open(place: string): Promise<OpenContent | undefined>;
  /** A content that AutoBot stored; undefined when there is none, or it is not inside the store's folder. */
  openLegacy(content: LegacyContent): Promise<OpenContent | undefined>;
  /** Does nothing when it is not there. */
  remove(place: string): Promise<void>;
  /** Places that are older than any upload that can still be under way, in portions. */
  oldPlaces(): AsyncGenerator<string[]>;
}

/** No upload takes that long. Measured in the store's own time; machines that share one may differ by hours. */
export const uploadLifetimeMs = 24 * 3_600_000;
