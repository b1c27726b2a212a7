import { chmod, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { deleteFile } from '../files/replace-file.ts';
import { windowSeconds } from '../signature/tags.ts';
import { assertStorable } from './assert-storable.ts';
import { type HandoverLimits, readHandover, writeHandover } from './handover-file.ts';
import type { SharedMemory } from './layout.ts';
import { aheadSeconds, type MarkCover, Marks, readMarks } from './marks.ts';
import { RemoteMarks, serveMarks } from './marks-channel.ts';
import { assertRegularFiles } from './regular-file.ts';
import { mostAheadSeconds, ReplayMemory, retentionSeconds } from './replay-memory.ts';
import { RetentionClock } from './retention-clock.ts';
import { StateError } from './state-error.ts';
import { StateLock } from './state-lock.ts';

const beatMs = 1000;

const files = { lock: 'lock.sqlite', marks: 'marks.json', handover: 'replay.bin' } as const;

export interface StateOptions {
  /** Key ids whose requests may be accepted: those of the keyring. */
  readonly kids: Iterable<string>;
  /** Told of a mark that could not be written while nobody waited for it. */
  readonly report: (error: Error) => void;
  /** Ends the waiting for the process before. */
  readonly signal?: AbortSignal;
  /** The wall clock, in milliseconds since the epoch. */
  readonly now?: () => number;
  /** A clock that never steps, in milliseconds. */
  readonly monotonicNow?: () => number;
}

/**
 * How this process came to its memory: from the process before it, from its marks after a crash, or with nothing. A
 * directory with nothing in it may be new, or may have lost what was in it: nothing tells the two apart.
 */
export type Origin = 'handed-over' | 'crashed' | 'no-marks';

/** What a worker thread needs to share in the memory: it can be posted. */
export interface SharedState {
  readonly memory: SharedMemory;
  readonly marks: string;
}

/** The memory of a worker thread. */
export function attachState(shared: SharedState): { memory: ReplayMemory; marks: RemoteMarks } {
  return { memory: new ReplayMemory(shared.memory), marks: new RemoteMarks(shared.marks) };
}

interface StateParts {
  readonly directory: string;
  readonly lock: StateLock;
  readonly memory: ReplayMemory;
  readonly marks: Marks;
  readonly limits: HandoverLimits;
  readonly origin: Origin;
  readonly clock: Clock;
  readonly settlesAtMs: number;
}

/** The replay memory with all that makes it outlive the process: lock, marks and handover. */
export class State {
  readonly memory: ReplayMemory;
  readonly marks: MarkCover;
  readonly origin: Origin;
  /** Milliseconds since the epoch from which on callers with a right clock are accepted. */
  readonly settlesAtMs: number;
  readonly shared: SharedState;
  readonly #marks: Marks;
  readonly #directory: string;
  readonly #lock: StateLock;
  readonly #limits: HandoverLimits;
  readonly #clock: Clock;
  readonly #report: (error: Error) => void;
  readonly #timer: NodeJS.Timeout;
  readonly #endChannel: () => void;
  #handedOver: Promise<void> | undefined;

  constructor(parts: StateParts, report: (error: Error) => void) {
    this.memory = parts.memory;
    this.marks = this.#marks = parts.marks;
    this.origin = parts.origin;
    this.settlesAtMs = parts.settlesAtMs;
    this.#directory = parts.directory;
    this.#lock = parts.lock;
    this.#limits = parts.limits;
    this.#clock = parts.clock;
    this.#report = report;
    this.#tellTime();
    this.shared = { memory: this.memory.shared, marks: `countersign-marks-${crypto.randomUUID()}` };
    this.#endChannel = serveMarks(this.shared.marks, this.#marks);
    this.#timer = setInterval(() => this.beat(), beatMs);
    this.#timer.unref();
  }

  /** Takes up the key ids of a keyring that was loaded anew. @throws {StateError} */
  use(kids: Iterable<string>): Promise<void> {
    return this.#marks.use(kids);
  }

  /** What is due once a second: tells the memory the time, forgets, moves the marks on. */
  beat(): void {
    this.#tellTime();
    this.#forget();
    if (this.memory.takePlainSeen()) this.#marks.refresh().catch(this.#report);
  }

  /** As long as the marks are not whole, what was accepted from callers whose clocks are ahead is unknown. */
  #tellTime(): void {
    const now = this.#clock();
    this.memory.setClock(now, now < this.#limits.wholeFrom ? aheadSeconds : mostAheadSeconds);
  }

  #forget(): void {
    if (this.#handedOver === undefined && this.memory.forgetSome(this.#clock()))
      setImmediate(() => this.#forget());
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
    this.memory.forget(this.#clock());
    const file = join(this.#directory, files.handover);
    try {
      await this.#marks.close();
      await writeHandover(file, this.memory, this.#limits);
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
 * none, and then the marks say what must be refused. Without marks, everything that was signed until two seconds from now
 * is refused, and until `retentionSeconds` from now so is whatever is further ahead than two seconds.
 *
 * The file of the memory is gone before this resolves, so no later start can take it for the whole truth.
 *
 * @throws {StateError} when the directory can't be used
 */
export async function openState(directory: string, options: StateOptions): Promise<State> {
  await assertStorable(directory);
  await mkdir(directory, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw new StateError(`the state directory ${directory} can't be made`, { cause: error });
  });
  await assertRegularFiles(Object.values(files).map((name) => join(directory, name)));
  const lock = await StateLock.acquire(join(directory, files.lock), options.signal);
  try {
    return new State({ directory, lock, ...(await takeUp(directory, options)) }, options.report);
  } catch (error) {
    lock.release();
    if (error instanceof StateError) throw error;
    throw new StateError(`the state directory ${directory} can't be used`, { cause: error });
  }
}

/** Seconds since the epoch by the clock of retention. */
type Clock = () => number;

async function takeUp(directory: string, options: StateOptions) {
  const { kids, now = Date.now, monotonicNow = () => performance.now() } = options;
  const handoverFile = join(directory, files.handover);
  const marksFile = join(directory, files.marks);
  const durable = await readMarks(marksFile);
  const handover = await readHandover(handoverFile);
  const origin: Origin =
    handover !== undefined ? 'handed-over' : durable === undefined ? 'no-marks' : 'crashed';

  const retention = new RetentionClock(now(), monotonicNow());
  const clock = () => retention.read(now(), monotonicNow());
  const start = clock();
  const lostTo = start + aheadSeconds;
  const memory = handover?.memory ?? new ReplayMemory();
  if (handover === undefined) memory.sealedFloor = lostTo;
  const limits = {
    'handed-over': handover?.limits,
    // A key id without a mark may have had any `created` accepted that the window allows.
    crashed: { refusedUnmarked: start + windowSeconds, wholeFrom: durable?.wholeFrom ?? 0 },
    'no-marks': { refusedUnmarked: lostTo, wholeFrom: start + retentionSeconds },
  }[origin] as HandoverLimits;
  for (const [kid, mark] of durable?.marks ?? [])
    memory.use(kid, mark, origin === 'crashed' ? mark : (handover?.refusedTo.get(kid) ?? 0));
  for (const [kid, refused] of handover?.refusedTo ?? []) memory.use(kid, 0, refused);

  const marks = new Marks(marksFile, memory, clock, limits);
  await marks.use(kids);
  await deleteFile(handoverFile).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  await rm(`${handoverFile}.new`, { force: true });
  await chmod(marksFile, 0o600).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  const settlesAtMs = origin === 'no-marks' ? (lostTo + 1) * 1000 : 0;
  return { memory, marks, limits, origin, clock, settlesAtMs };
}
