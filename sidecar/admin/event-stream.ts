import type { ServerResponse } from 'node:http';
import type { FeedEvent, FeedReader } from '../telemetry/event-feed.ts';

/** Denials that wait for a reader that is slow; calls do not wait. */
const mostHeld = 1000;
const heartbeatMs = 15_000;

/**
 * One reader of `/events`. What it does not take is counted, not kept: a slow reader costs a buffer of the kernel's and
 * `mostHeld` denials.
 */
export class EventStream implements FeedReader {
  readonly #response: ServerResponse;
  readonly #heartbeat: NodeJS.Timeout;
  #held: FeedEvent[] = [];
  #skipped = 0;

  constructor(response: ServerResponse) {
    this.#response = response;
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    });
    response.write('retry: 2000\n\n');
    // Keeps what is between the two ends from taking the stream for dead.
    this.#heartbeat = setInterval(() => {
      if (!response.writableNeedDrain) response.write(':\n\n');
    }, heartbeatMs).unref();
    response.on('drain', () => this.#goOn());
    response.on('close', () => clearInterval(this.#heartbeat));
  }

  take(events: readonly FeedEvent[], skipped: number): void {
    this.#skipped += skipped;
    if (!this.#response.writableNeedDrain) {
      this.#write(events);
      return;
    }
    const denials = events.filter(({ isDenial }) => isDenial).slice(0, mostHeld - this.#held.length);
    this.#held.push(...denials);
    this.#skipped += events.length - denials.length;
  }

  end(): void {
    clearInterval(this.#heartbeat);
    this.#response.end();
  }

  #goOn(): void {
    const held = this.#held;
    this.#held = [];
    if (held.length > 0 || this.#skipped > 0) this.#write(held);
  }

  #write(events: readonly FeedEvent[]): void {
    let text = events.map((event) => event.text).join('');
    if (this.#skipped > 0) text += `event: skipped\ndata: {"count":${this.#skipped}}\n\n`;
    this.#skipped = 0;
    if (text !== '') this.#response.write(text);
  }
}
