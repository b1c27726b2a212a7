import { once } from 'node:events';
import type { Worker } from 'node:worker_threads';
import { PendingReplies } from '../../../config/pending-replies.ts';
import { startWorker } from '../../../config/program.ts';
import { DatabaseError, fromErrorMessage } from '../errors.ts';
import type { Ready, Response, WorkerData } from './worker.ts';

type Started = Exclude<Ready, { fatal: unknown }>;

/** One worker thread with its connection. A thread that dies fails the calls it had; the next call starts another. */
export class Thread {
  readonly #data: WorkerData;
  readonly #pending = new PendingReplies<never>();
  #worker: Worker | undefined;
  #starting: Promise<Started> | undefined;
  #closed = false;

  constructor(data: WorkerData) {
    this.#data = data;
  }

  /** Starts the thread if it does not run; settles when it has opened the file. */
  ready(): Promise<Started> {
    this.#starting ??= this.#start().catch((error) => {
      this.#starting = undefined;
      throw error;
    });
    return this.#starting;
  }

  #start(): Promise<Started> {
    const worker = startWorker('core/database/sqlite/worker', { workerData: this.#data });
    this.#worker = worker;
    return new Promise((resolve, reject) => {
      worker.once('message', (ready: Ready) => {
        if ('fatal' in ready) return reject(fromErrorMessage(ready.fatal));
        worker.on('message', (response: Response) => this.#settle(response));
        resolve(ready);
      });
      let cause: Error | undefined;
      worker.once('error', (error) => {
        cause = error as Error;
      });
      worker.once('exit', () => {
        this.#worker = undefined;
        this.#starting = undefined;
        const error = new DatabaseError(
          'database-failed',
          `${this.#data.file}: the ${this.#data.role} thread ended${cause ? `: ${cause.message}` : ''}; calls that got no answer may or may not have happened`,
          { cause },
        );
        reject(error);
        this.#pending.refuseAll(error);
      });
    });
  }

  async call(name: string, args: unknown): Promise<never> {
    if (this.#closed)
      throw new DatabaseError('database-closed', `${this.#data.file} was closed; it takes no more calls`);
    await this.ready();
    return this.#pending.ask((id) => this.#worker?.postMessage({ id, name, args }));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const worker = this.#worker;
    if (worker === undefined) return;
    const exit = once(worker, 'exit');
    worker.postMessage('close');
    await exit;
  }

  #settle(response: Response): void {
    if ('error' in response) this.#pending.refuse(response.id, fromErrorMessage(response.error));
    else this.#pending.resolve(response.id, response.value as never);
  }
}
