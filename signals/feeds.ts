import { setTimeout as delay } from 'node:timers/promises';
import type { MessagePort } from 'node:worker_threads';
import { Feed, type Receipt, type Signal } from './feed.ts';

/** Where signals go; what is left out is not exported. */
export interface SignalTargets {
  /** Base URL of an OTLP/HTTP collector, without a slash at its end. */
  readonly otlp?: string | undefined;
  /** Absolute path. */
  readonly accessLog?: string | undefined;
}

/** How long the end of a thread waits for what is still under way. */
const endMs = 1_000;

/** The feeds of one thread, over its port to the exporting thread. */
export class Feeds {
  readonly traces: Feed | undefined;
  readonly logs: Feed | undefined;
  readonly access: Feed | undefined;
  readonly #port: MessagePort;
  #isFailing = false;

  /** @param report told when signals begin to get lost (with the reason), and when they no longer do */
  constructor(port: MessagePort, targets: SignalTargets, report: (problem: string | undefined) => void) {
    const feed = (signal: Signal, isWanted: boolean) => (isWanted ? new Feed(signal, port) : undefined);
    this.traces = feed('traces', targets.otlp !== undefined);
    this.logs = feed('logs', targets.otlp !== undefined);
    this.access = feed('access', targets.accessLog !== undefined);
    this.#port = port;
    port.on('message', (receipt: Receipt) => {
      this[receipt.signal]?.onReceipt(receipt);
      const isFailing = receipt.lost > 0;
      if (isFailing !== this.#isFailing) report(isFailing ? receipt.problem : undefined);
      this.#isFailing = isFailing;
    });
    // Signals under way keep no process alive.
    port.unref();
  }

  /** Texts of each signal that were not delivered; undefined of what is not exported. */
  get dropped(): Readonly<Record<Signal, number | undefined>> {
    return { traces: this.traces?.dropped, logs: this.logs?.dropped, access: this.access?.dropped };
  }

  /** Sends all that waits, now. Resolves when it has been dealt with. */
  async flush(): Promise<void> {
    this.#port.ref();
    await Promise.all([this.traces, this.logs, this.access].map((feed) => feed?.flush()));
    this.#port.unref();
  }

  /** Sends what is left, for a second at most, and closes the port. */
  async close(): Promise<void> {
    await Promise.race([this.flush(), delay(endMs, undefined, { ref: false })]);
    this.#port.close();
  }
}
