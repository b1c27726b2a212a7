import type { MessagePort } from 'node:worker_threads';

/** What is exported: spans and log records to an OTLP collector, lines to the access log. */
export type Signal = 'traces' | 'logs' | 'access';

/** A batch on its way to the exporting thread: JSON texts without a line break, one a line. */
export interface Batch {
  readonly signal: Signal;
  readonly lines: string;
  readonly count: number;
}

/** What became of a batch. */
export interface Receipt {
  readonly signal: Signal;
  /** Texts that could not be delivered. */
  readonly lost: number;
  /** Why, when there are any. */
  readonly problem?: string;
}

/** Characters that wait at most; what comes then is dropped. */
const mostCharacters = 4 * 1024 * 1024;
const flushAfterMs = 100;

/**
 * Texts of one signal on their way from a thread that serves calls to the one that exports. It waits for nothing: at most
 * one batch is under way, a bounded number of characters wait behind it, and the rest is dropped and counted.
 */
export class Feed {
  readonly #signal: Signal;
  readonly #port: MessagePort;
  #waiting: string[] = [];
  #characters = 0;
  #isUnderWay = false;
  #timer: NodeJS.Timeout | undefined = undefined;
  #onIdle: (() => void) | undefined = undefined;
  /** Texts that were not delivered, since start. */
  dropped = 0;

  constructor(signal: Signal, port: MessagePort) {
    this.#signal = signal;
    this.#port = port;
  }

  /**
   * Whether there is room for another text. Ask before making an expensive one; what finds none is counted.
   *
   * @param share of the room that may be taken, 0 to 1: what strangers can cause must leave room for the rest
   */
  hasRoom(share = 1): boolean {
    if (this.#characters < share * mostCharacters) return true;
    this.dropped++;
    return false;
  }

  /** Takes a text, if `hasRoom`. */
  push(text: string): void {
    this.#waiting.push(text);
    this.#characters += text.length;
    if (!this.#isUnderWay) this.#timer ??= setTimeout(() => this.#send(), flushAfterMs).unref();
  }

  /** The batch that was under way has been dealt with. */
  onReceipt({ lost }: Receipt): void {
    this.dropped += lost;
    this.#isUnderWay = false;
    if (this.#waiting.length > 0) {
      if (this.#onIdle !== undefined) this.#send();
      else this.#timer ??= setTimeout(() => this.#send(), flushAfterMs).unref();
    } else this.#onIdle?.();
  }

  /** Sends all that waits, now. Resolves when it has been dealt with. */
  flush(): Promise<void> {
    return new Promise((resolve) => {
      this.#onIdle = resolve;
      if (this.#isUnderWay) return;
      if (this.#waiting.length > 0) this.#send();
      else resolve();
    });
  }

  #send(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const batch: Batch = {
      signal: this.#signal,
      lines: this.#waiting.join('\n'),
      count: this.#waiting.length,
    };
    this.#waiting = [];
    this.#characters = 0;
    this.#isUnderWay = true;
    this.#port.postMessage(batch);
  }
}
