import type { CallEvent } from './call-event.ts';
import type { EventBatch } from './event-sampler.ts';

/** An event as it is written on a stream (WHATWG HTML, "Server-sent events"). */
export interface FeedEvent {
  readonly id: string;
  readonly isDenial: boolean;
  readonly text: string;
}

/** Who reads the feed. It must not block: what it can't take now it keeps or drops. */
export interface FeedReader {
  /** @param skipped further calls of which nothing is told */
  take(events: readonly FeedEvent[], skipped: number): void;
  /** The feed ends. */
  end(): void;
}

/** Events that a reader who comes back finds. */
const remembered = 1000;
/** For so long after the last reader has gone events are collected, for one who comes back. */
const lingerMs = 5_000;
const mostReaders = 16;

/**
 * The calls of all threads as they end, for the readers of `/events`. Nothing is collected while there are none.
 *
 * Ids go up, and name this start of the sidecar: a reader who comes back with the last one it has seen gets what it missed.
 */
export class EventFeed {
  readonly #watch: (on: boolean) => void;
  readonly #start: string;
  readonly #readers = new Set<FeedReader>();
  #recent: FeedEvent[] = [];
  #lastNumber = 0;
  #linger: NodeJS.Timeout | undefined = undefined;
  #isWatching = false;

  /**
   * @param watch told when calls are to be collected, and when no longer
   * @param startedAtMs milliseconds since the epoch
   */
  constructor(watch: (on: boolean) => void, startedAtMs: number) {
    this.#watch = watch;
    this.#start = startedAtMs.toString(36);
  }

  /** Whether there are as many readers as there may be. */
  get isFull(): boolean {
    return this.#readers.size >= mostReaders;
  }

  /** Hands the calls of one thread out. */
  publish({ events, skipped }: EventBatch): void {
    const told = events.map((event) => this.#told(event));
    for (const reader of this.#readers) reader.take(told, skipped);
    this.#recent = [...this.#recent, ...told].slice(-remembered);
  }

  /**
   * Adds a reader, and gives it what came after the event that it has seen last, as far as that is remembered.
   *
   * @returns what takes it away again
   */
  subscribe(reader: FeedReader, lastSeen: string | undefined): () => void {
    clearTimeout(this.#linger);
    this.#linger = undefined;
    const missed = this.#after(lastSeen);
    this.#readers.add(reader);
    if (!this.#isWatching) {
      this.#isWatching = true;
      this.#watch(true);
    }
    if (missed.length > 0) reader.take(missed, 0);
    return () => this.#remove(reader);
  }

  /** Ends all streams. */
  close(): void {
    clearTimeout(this.#linger);
    for (const reader of this.#readers) reader.end();
    this.#readers.clear();
    this.#stop();
  }

  #remove(reader: FeedReader): void {
    if (!this.#readers.delete(reader) || this.#readers.size > 0) return;
    this.#linger = setTimeout(() => this.#stop(), lingerMs).unref();
  }

  #stop(): void {
    this.#recent = [];
    if (!this.#isWatching) return;
    this.#isWatching = false;
    this.#watch(false);
  }

  #after(lastSeen: string | undefined): readonly FeedEvent[] {
    if (lastSeen === undefined) return [];
    const place = this.#recent.findIndex(({ id }) => id === lastSeen);
    return place < 0 ? [] : this.#recent.slice(place + 1);
  }

  #told(event: CallEvent): FeedEvent {
    const id = `${this.#start}-${++this.#lastNumber}`;
    const isDenial = event.verdict === 'denied';
    const kind = isDenial ? 'denial' : 'call';
    return { id, isDenial, text: `id: ${id}\nevent: ${kind}\ndata: ${JSON.stringify(event)}\n\n` };
  }
}
