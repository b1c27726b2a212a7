import type { FastifyBaseLogger } from 'fastify';
import type { Database } from '../database/database.ts';
import type { ContentStore } from './store.ts';

const batch = 200;

/**
 * Removes the contents of files that were deleted long enough ago, by the schedule in `file_cleanup_queue`, and once after the start every content that no
 * file names (a crash between the move of a content and the commit of its row leaves one).
 */
export class Cleaner {
  readonly #database: Database;
  readonly #store: ContentStore;
  readonly #log: FastifyBaseLogger;
  readonly #timer: NodeJS.Timeout;
  #running: Promise<void>;
  #closed = false;

  constructor(database: Database, store: ContentStore, log: FastifyBaseLogger, everyMs: number) {
    this.#database = database;
    this.#store = store;
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
      const hashes = await this.#database.call('files.clean', {
        now: new Date().toISOString(),
        limit: batch,
      });
      cleaned = hashes.length;
      if (cleaned > 0) await this.#sweep(hashes, 'removed contents of deleted files');
    }
  }

  async #sweepAll(): Promise<void> {
    for await (const hashes of this.#store.hashes()) {
      for (let from = 0; from < hashes.length && !this.#closed; from += batch) {
        await this.#sweep(hashes.slice(from, from + batch), 'removed contents that no file names');
      }
      if (this.#closed) return;
    }
  }

  async #sweep(hashes: readonly string[], message: string): Promise<void> {
    const removed = await this.#database.call('files.sweep', { store: this.#store.folder, hashes });
    if (removed > 0) this.#log.info({ removed }, message);
  }

  async #guard(pass: () => Promise<void>): Promise<void> {
    try {
      await pass();
    } catch (error) {
      this.#log.error({ err: error }, 'could not clean the file store; the next pass tries again');
    }
  }
}
