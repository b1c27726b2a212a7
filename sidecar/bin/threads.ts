import type { Worker } from 'node:worker_threads';
import { startWorker } from '../../config/program.ts';
import type { Phase } from '../telemetry/documents.ts';
import type { EventBatch } from '../telemetry/event-sampler.ts';
import type { Answer, Question, ToldEvents, WorkerCalls, WorkerStart } from './worker-thread.ts';

type Result<Call extends keyof WorkerCalls> = Promise<Awaited<ReturnType<WorkerCalls[Call]>>>;

/** What the main thread hears of a worker without asking. */
export interface ThreadEvents {
  onFault(error: Error): void;
  /** Calls as they end. */
  onCalls(batch: EventBatch): void;
}

interface Waiting {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

/** A worker thread with a data path of its own, as the main thread sees it. */
export class Thread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;

  private constructor(worker: Worker, { onFault, onCalls }: ThreadEvents) {
    this.#worker = worker;
    worker.on('message', (answer: Answer | ToldEvents) => {
      if ('events' in answer) {
        onCalls(answer.events);
        return;
      }
      const waiting = this.#waiting.get(answer.id);
      this.#waiting.delete(answer.id);
      if ('error' in answer) waiting?.reject(answer.error);
      else waiting?.resolve(answer.result);
    });
    const gone = (error: Error) => {
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
    };
    worker.on('error', (error) => {
      gone(error as Error);
      onFault(error as Error);
    });
    worker.on('exit', () => gone(new Error('the worker thread has ended')));
  }

  /** Starts a thread and waits until it can be asked to listen. */
  static async start(phase: Phase, start: WorkerStart, events: ThreadEvents): Promise<Thread> {
    const { signals } = start;
    const options = { workerData: start, transferList: signals === undefined ? [] : [signals] };
    const thread = new Thread(startWorker(`sidecar/bin/${phase}-worker`, options), events);
    await new Promise<unknown>((resolve, reject) => thread.#waiting.set(0, { resolve, reject }));
    return thread;
  }

  /** Asks the thread; rejects when it fails, or has ended. */
  ask<Call extends keyof WorkerCalls>(
    call: Call,
    ...[argument]: Parameters<WorkerCalls[Call]>
  ): Result<Call> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as Waiting['resolve'], reject });
      this.#worker.postMessage({ id, call, argument } satisfies Question);
    });
  }
}
