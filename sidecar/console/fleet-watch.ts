import type { FleetSnapshot } from '../fleet-view/snapshot.ts';
import type { AppPort } from '../readiness/assess.ts';
import { History } from './history.ts';
import type { Policy, Sources } from './sources.ts';

/** What was read of the fleet at one time, with what rates need of before. */
export interface Reading {
  readonly current: FleetSnapshot;
  /** Ten to twenty seconds older, once the console runs so long. */
  readonly previous: FleetSnapshot | undefined;
  readonly policy: Policy;
  readonly appPorts: readonly AppPort[];
  readonly history: History;
  /** Why the files in use are older than those on disk. */
  readonly problem: string | undefined;
}

/** How often the fleet is read while somebody looks, and while nobody does. */
const watchedMs = 2_000;
const idleMs = 15_000;
/** Rates are of an interval of at least this. */
const intervalMs = 10_000;
/** Probing an app's port is a connection to it. */
const probeMs = 60_000;
const readLimitMs = 30_000;

export interface WatchOptions {
  readonly sources: Sources;
  /** Default 2 s. */
  readonly everyMs?: number;
  /** What goes wrong with a whole reading. */
  readonly onError: (error: Error) => void;
}

/** Reads the fleet again and again: often while somebody looks, seldom otherwise, and never twice at once. */
export class FleetWatch {
  readonly #options: WatchOptions;
  readonly #everyMs: number;
  readonly #readers = new Set<(reading: Reading) => void>();
  readonly #history = new History();
  readonly #stop = new AbortController();
  #reading: Reading | undefined;
  /** Candidates for `previous`, the older first. */
  #before: FleetSnapshot[] = [];
  #appPorts: readonly AppPort[] = [];
  #probedAtMs = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #lastedMs = 0;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#everyMs = options.everyMs ?? watchedMs;
  }

  /** The newest reading; the first is made now. @throws what `openPolicy` throws before there is any */
  async latest(): Promise<Reading> {
    if (this.#reading === undefined) await this.#read();
    else this.#schedule();
    return this.#reading as unknown as Reading;
  }

  /** Calls back with each reading, the latest first, until told to end. */
  follow(reader: (reading: Reading) => void): () => void {
    this.#readers.add(reader);
    if (this.#reading !== undefined) reader(this.#reading);
    this.#schedule();
    return () => {
      this.#readers.delete(reader);
      this.#schedule();
    };
  }

  get readers(): number {
    return this.#readers.size;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    clearTimeout(this.#timer);
    await this.#running?.catch(() => {});
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#stop.signal.aborted || this.#running !== undefined) return;
    // A fleet that takes long to read is read less often.
    const pauseMs =
      this.#readers.size > 0 ? Math.max(this.#everyMs, 2 * this.#lastedMs) : Math.max(idleMs, this.#everyMs);
    const agoMs = Date.now() - (this.#reading?.current.takenAtMs ?? 0);
    this.#timer = setTimeout(
      () => void this.#read().catch(this.#options.onError),
      Math.max(0, Math.min(pauseMs, pauseMs - agoMs)),
    );
  }

  #read(): Promise<void> {
    this.#running ??= this.#readOnce().finally(() => {
      this.#running = undefined;
      this.#schedule();
    });
    return this.#running;
  }

  async #readOnce(): Promise<void> {
    const { sources } = this.#options;
    const startedAt = performance.now();
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(readLimitMs)]);
    const { policy, problem } = await this.#policy();
    const takenAtMs = Date.now();
    const current: FleetSnapshot = { takenAtMs, hosts: await sources.readHosts(signal) };
    if (takenAtMs - this.#probedAtMs >= probeMs) {
      this.#probedAtMs = takenAtMs;
      this.#appPorts = await sources.probeAppPorts(policy.fleet, current.hosts);
    }
    this.#lastedMs = performance.now() - startedAt;
    const [older, newer] = this.#before;
    const previous = older;
    if (newer === undefined || takenAtMs - newer.takenAtMs >= intervalMs)
      this.#before = newer === undefined ? [current, current] : [newer, current];
    if (previous !== undefined) this.#history.add(previous, current);
    this.#reading = { current, previous, policy, appPorts: this.#appPorts, history: this.#history, problem };
    if (this.#stop.signal.aborted) return;
    for (const reader of this.#readers) reader(this.#reading);
  }

  /** A broken file leaves the one before in use. */
  async #policy(): Promise<{ policy: Policy; problem: string | undefined }> {
    try {
      return { policy: await this.#options.sources.openPolicy(), problem: undefined };
    } catch (error) {
      if (this.#reading === undefined) throw error;
      return { policy: this.#reading.policy, problem: (error as Error).message };
    }
  }
}
