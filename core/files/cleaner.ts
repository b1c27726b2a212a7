import type { FastifyBaseLogger } from 'fastify';
import type { FileStore } from '../store/file-store.ts';
import type { ContentStore } from './content-store.ts';

const batch = 200;

/**
 * Removes the contents of files that were deleted long enough ago, by the schedule in `file_cleanup_queue`, and once after the start every
 * old content that no file names (a crash between the two steps of an upload or a removal leaves one). Several core services may do
 * so at once.
 */
export class Cleaner {
  readonly #files: FileStore;
  readonly #contents: ContentStore;
  readonly #log: FastifyBaseLogger;
  readonly #timer: NodeJS.Timeout;
  #running: Promise<void>;
  #closed = false;

  constructor(files: FileStore, contents: ContentStore, log: FastifyBaseLogger, everyMs: number) {
    this.#files = files;
    this.#contents = contents;
    this.#log = log;
    this.#running = this.#guard(() => this.#sweepAll());
    this.#timer = setInterval(() => this.clean(), everyMs).unref();
  }

  /** Settles what is due now; one pass at a time. */
  clean(): Promise<void> {
    this.#running = this.#running.then(() => this.#guard(() => this.#cleanDue()));
    return this.#running;
  }

  /** Lets the pass that runs end its current step. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    await this.#running;
  }

  async #cleanDue(): Promise<void> {
    let cleaned = batch;
    while (cleaned === batch && !this.#closed) {
      const hashes = await this.#files.clean(batch);
      cleaned = hashes.length;
      if (cleaned > 0) await this.#drop(hashes, 'removed contents of deleted files');
    }
  }

  async #sweepAll(): Promise<void> {
    for (let after = ''; !this.#closed; ) {
      const hashes = await this.#files.hashes(after, batch);
      await this.#drop(hashes, 'removed contents that no file needs');
      if (hashes.length < batch) break;
      after = hashes.at(-1) as string;
    }
    for await (const places of this.#contents.oldPlaces()) {
      for (let from = 0; from < places.length && !this.#closed; from += batch) {
        const unknown = await this.#files.unknownPlaces(places.slice(from, from + batch));
        await this.#remove(unknown, 'removed contents that no file names');
      }
      if (this.#closed) return;
    }
  }

  async #drop(hashes: readonly string[], message: string): Promise<void> {
    await this.#remove(await this.#files.dropContents(hashes), message);
  }

  async #remove(places: readonly string[], message: string): Promise<void> {
    for (const place of places) await this.#contents.remove(place);
    if (places.length > 0) this.#log.info({ removed: places.length }, message);
  }

  async #guard(pass: () => Promise<void>): Promise<void> {
    try {
      await pass();
    } catch (error) {
      this.#log.error({ err: error }, 'could not clean the file store; the next pass tries again');
    }
  }
}
