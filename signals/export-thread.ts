import { MessageChannel, type MessagePort, type Worker } from 'node:worker_threads';
import { startWorker } from '../config/program.ts';
import type { SignalTargets } from './feeds.ts';
import type { Attributes } from './otlp.ts';

/** What the exporting thread is started with. */
export interface ExportStart {
  readonly targets: SignalTargets;
  readonly resource: Attributes;
  readonly version: string;
}

/** What the exporting thread is told. */
export type ExportOrder = { readonly attach: MessagePort } | { readonly reopen: true };

/** The thread that writes and sends what other threads feed it. */
export class ExportThread {
  readonly #worker: Worker;

  /** @param onFault the thread has failed: nothing is exported any more */
  constructor(start: ExportStart, onFault: (error: Error) => void) {
    this.#worker = startWorker('signals/export-worker', { workerData: start });
    this.#worker.on('error', (error) => onFault(error as Error));
    this.#worker.unref();
  }

  /** A port for the feeds of a thread. */
  attach(): MessagePort {
    const { port1, port2 } = new MessageChannel();
    this.#order({ attach: port2 }, [port2]);
    return port1;
  }

  /** Opens the access log anew: what rotates it has renamed it. */
  reopen(): void {
    this.#order({ reopen: true });
  }

  #order(order: ExportOrder, transfer: readonly MessagePort[] = []): void {
    this.#worker.postMessage(order, transfer);
  }
}
