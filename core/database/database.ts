import { once } from 'node:events';
import type { Worker } from 'node:worker_threads';
import { startWorker } from '../../config/program.ts';
import { textAssets } from '../assets.ts';
import { DatabaseError, fromErrorMessage } from './errors.ts';
import type { SchemaState } from './migrate.ts';
import { type Migration, toMigrations } from './migrations.ts';
import { type QueryArgs, type QueryName, type QueryResult, queries } from './queries/index.ts';
import type { Ready, Response, WorkerData } from './worker.ts';

export interface DatabaseOptions {
  /** Path of the SQLite file; made when it does not exist, its directory not. */
  readonly file: string;
  /** How long a call waits for another process's lock; default 5000. */
  readonly busyTimeoutMs?: number;
  /** The scripts to bring the schema up to date; default those of this release. */
  readonly migrations?: readonly Migration[];
}

/** The conversation database. SQLite blocks, so it lives in worker threads; this is their client. */
export interface Database {
  /**
   * Runs a query. A write is answered after its transaction is on the disk (WAL, synchronous=FULL); writes happen in the order of
   * their calls. A read sees every write answered before it was called.
   *
   * @throws {DatabaseError} `schema-too-old` when a migration that it needs did not run
   */
  call<Name extends QueryName>(name: Name, args: QueryArgs<Name>): Promise<QueryResult<Name>>;
  /** The schema that was found or made at the start; `problem` belongs into /health. */
  readonly schema: SchemaState;
  /** Answers what was called before, checkpoints and closes the file. */
  close(): Promise<void>;
}

/** The scripts that ship with this program. */
export async function shippedMigrations(): Promise<Migration[]> {
  return toMigrations(await textAssets('core/database', '.sql'));
}

/**
 * Opens the database and migrates it. A missing or broken script is not an error here: see `schema.problem`.
 *
 * @throws {DatabaseError} when the file can serve nothing
 */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const migrations = options.migrations ?? (await shippedMigrations());
  const data = { file: options.file, busyTimeoutMs: options.busyTimeoutMs ?? 5000, migrations };
  const writer = new Thread({ ...data, role: 'writer' });
  const { version, target, problem } = await writer.ready();
  const reader = new Thread({ ...data, role: 'reader' });
  try {
    await reader.ready();
  } catch (error) {
    await writer.close();
    throw error;
  }
  return {
    schema: { version, target, ...(problem && { problem: fromErrorMessage(problem) as DatabaseError }) },
    call: (name, args) => (queries[name].kind === 'write' ? writer : reader).call(name, args),
    async close() {
      // The writer last: whoever closes the file last folds the write-ahead log into it.
      await reader.close();
      await writer.close();
    },
  };
}

interface Waiting {
  resolve(value: never): void;
  reject(error: Error): void;
}

type Started = Exclude<Ready, { fatal: unknown }>;

/** One worker thread with its connection. A thread that dies fails the calls it had; the next call starts another. */
class Thread {
  readonly #data: WorkerData;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
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
    const worker = startWorker('core/database/worker', { workerData: this.#data });
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
        for (const { reject: fail } of this.#waiting.values()) fail(error);
        this.#waiting.clear();
      });
    });
  }

  async call(name: string, args: unknown): Promise<never> {
    if (this.#closed)
      throw new DatabaseError('database-closed', `${this.#data.file} was closed; it takes no more calls`);
    await this.ready();
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId;
      this.#worker?.postMessage({ id, name, args });
      this.#waiting.set(id, { resolve, reject });
    });
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
    const waiting = this.#waiting.get(response.id);
    this.#waiting.delete(response.id);
    if ('error' in response) waiting?.reject(fromErrorMessage(response.error));
    else waiting?.resolve(response.value as never);
  }
}
