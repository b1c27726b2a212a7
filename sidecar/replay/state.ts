import { chmod, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { deleteFile } from '../files/replace-file.ts';
import { windowSeconds } from '../signature/tags.ts';
import { readHandover, writeHandover } from './handover-file.ts';
import type { SharedMemory } from './layout.ts';
import { type MarkCover, Marks, readMarks } from './marks.ts';
import { RemoteMarks, serveMarks } from './marks-channel.ts';
import { ReplayMemory } from './replay-memory.ts';
import { RetentionClock } from './retention-clock.ts';
import { StateError } from './state-error.ts';
import { StateLock } from './state-lock.ts';

const tickMs = 1000;

const files = { lock: 'lock.sqlite', marks: 'marks.json', handover: 'replay.bin' } as const;

export interface StateOptions {
  /** Key ids whose requests may be accepted: those of the keyring. */
  readonly kids: Iterable<string>;
  /** Told of a mark that could not be written while nobody waited for it. */
  readonly report: (error: Error) => void;
  /** Ends the waiting for the process before. */
  readonly signal?: AbortSignal;
}

/** How this process came to its memory. */
export type Origin = 'first-start' | 'handed-over' | 'crashed';

/** What a worker thread needs to share in the memory: it can be posted. */
export interface SharedState {
  readonly memory: SharedMemory;
  readonly marks: string;
}

/** The memory of a worker thread. */
export function attachState(shared: SharedState): { memory: ReplayMemory; marks: RemoteMarks } {
  return { memory: new ReplayMemory(shared.memory), marks: new RemoteMarks(shared.marks) };
}

/** The replay memory with all that makes it outlive the process: lock, marks and handover. */
export class State {
  readonly memory: ReplayMemory;
  readonly marks: MarkCover;
  readonly origin: Origin;
  readonly shared: SharedState;
  readonly #marks: Marks;
  readonly #directory: string;
  readonly #lock: StateLock;
  readonly #refusedUnmarked: number;
  readonly #clock = new RetentionClock(Date.now(), performance.now());
  readonly #report: (error: Error) => void;
  readonly #timer: NodeJS.Timeout;
  readonly #endChannel: () => void;
  #admitted: number;
  #handedOver: Promise<void> | undefined;

  constructor(
    parts: {
      directory: string;
      lock: StateLock;
      memory: ReplayMemory;
      marks: Marks;
      refusedUnmarked: number;
      origin: Origin;
    },
    report: (error: Error) => void,
  ) {
    this.memory = parts.memory;
    this.marks = this.#marks = parts.marks;
    this.origin = parts.origin;
    this.#directory = parts.directory;
    this.#lock = parts.lock;
    this.#refusedUnmarked = parts.refusedUnmarked;
    this.#report = report;
    this.#admitted = this.memory.admitted;
    this.shared = { memory: this.memory.shared, marks: `countersign-marks-${crypto.randomUUID()}` };
    this.#endChannel = serveMarks(this.shared.marks, this.#marks);
    this.#timer = setInterval(() => this.#tick(), tickMs);
    this.#timer.unref();
  }

  /** Takes up the key ids of a keyring that was loaded anew. @throws {StateError} */
  use(kids: Iterable<string>): Promise<void> {
    return this.#marks.use(kids);
  }

  #tick(): void {
    this.#forget();
    if (this.memory.admitted === this.#admitted) return;
    this.#admitted = this.memory.admitted;
    this.#marks.refresh().catch(this.#report);
  }

  #forget(): void {
    if (this.#handedOver === undefined && this.memory.forgetSome(this.#retentionSeconds()))
      setImmediate(() => this.#forget());
  }

  #retentionSeconds(): number {
    return this.#clock.read(Date.now(), performance.now());
  }

  /**
   * Gives the memory to the process that waits for it: admits nothing any more, writes and syncs the memory, and
   * releases the lock, in any case.
   *
   * @throws {StateError} when the memory could not be written: the next process then goes by the marks
   */
  handOver(): Promise<void> {
    this.#handedOver ??= this.#handOver();
    return this.#handedOver;
  }

  async #handOver(): Promise<void> {
    clearInterval(this.#timer);
    this.#endChannel();
    this.memory.close();
    // What is half forgotten can't be passed on.
    this.memory.forget(this.#retentionSeconds());
    const file = join(this.#directory, files.handover);
    try {
      await this.#marks.close();
      await writeHandover(file, this.memory, this.#refusedUnmarked);
    } catch (error) {
      throw new StateError(`${file} can't be written; recent calls will be refused for a moment`, {
        cause: error,
      });
    } finally {
      this.#lock.release();
    }
  }
}

/**
 * Waits for the lock on a state directory, and takes up the memory that lies there: whole after a handover; after a crash
 * none, and then the marks say what must be refused. A directory that was never used is a first start.
 *
 * The file of the memory is gone before this resolves, so no later start can take it for the whole truth.
 *
 * @throws {StateError} when the directory can't be used
 */
export async function openState(directory: string, options: StateOptions): Promise<State> {
  await mkdir(directory, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw new StateError(`the state directory ${directory} can't be made`, { cause: error });
  });
  const lock = await StateLock.acquire(join(directory, files.lock), options.signal);
  try {
    return new State({ directory, lock, ...(await takeUp(directory, options.kids)) }, options.report);
  } catch (error) {
    lock.release();
    if (error instanceof StateError) throw error;
    throw new StateError(`the state directory ${directory} can't be used`, { cause: error });
  }
}

async function takeUp(directory: string, kids: Iterable<string>) {
  const handoverFile = join(directory, files.handover);
  const marksFile = join(directory, files.marks);
  const durable = await readMarks(marksFile);
  const handover = await readHandover(handoverFile);
  const origin: Origin =
    handover !== undefined ? 'handed-over' : durable === undefined ? 'first-start' : 'crashed';

  const memory = handover?.memory ?? new ReplayMemory();
  const crashed = origin === 'crashed';
  // A key id without a mark may have had any `created` accepted that the window allows.
  const refusedUnmarked =
    handover?.refusedUnmarked ?? (crashed ? Math.floor(Date.now() / 1000) + windowSeconds : 0);
  for (const [kid, mark] of durable ?? [])
    memory.use(kid, mark, crashed ? mark : (handover?.refusedTo.get(kid) ?? 0));
  for (const [kid, refused] of handover?.refusedTo ?? []) memory.use(kid, 0, refused);

  const marks = new Marks(marksFile, memory, Date.now, refusedUnmarked);
  await marks.use(kids);
  await deleteFile(handoverFile).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  await rm(`${handoverFile}.new`, { force: true });
  await chmod(marksFile, 0o600).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  return { memory, marks, refusedUnmarked, origin };
}
