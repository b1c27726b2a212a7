import { readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { replaceFile } from '../files/replace-file.ts';
import {
  type ObservedDocument,
  observation,
  observedSchema,
  type Phase,
  skewOf,
  timeText,
} from './documents.ts';
import type { HopRow } from './hop-table.ts';
import {
  addStates,
  documentHead,
  documentOf,
  emptyState,
  type ObservedState,
  stateOf,
  subtractStates,
} from './observed-state.ts';
import type { TelemetrySnapshot } from './snapshot.ts';

const fileName = 'observed.json';
/** What a process that drains still counts after it handed the state over: the next one adds it up. */
const lateFile = /^observed-late-\d+\.json$/;
const rowsPerWrite = 200;

interface ObservedStoreOptions {
  /** The state directory. Whoever holds its lock may open a store. */
  readonly directory: string;
  readonly phase: Phase;
  readonly logger: Logger;
  readonly now?: () => number;
}

/**
 * observed.json: what was seen since logging began, over restarts and swaps. What is in the file is added to what
 * this process counts; nothing here is on the way of a call, and no failure to write stops one.
 */
export class ObservedStore {
  readonly #directory: string;
  readonly #phase: Phase;
  readonly #logger: Logger;
  readonly #now: () => number;
  readonly #startedAtMs: number;
  #base: ObservedState;
  /** What had been counted when the state was handed over; undefined before. */
  #handedOver: ObservedState | undefined;
  #saving: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  private constructor(options: ObservedStoreOptions, base: ObservedState, startedAtMs: number) {
    this.#directory = options.directory;
    this.#phase = options.phase;
    this.#logger = options.logger;
    this.#now = options.now ?? Date.now;
    this.#base = base;
    this.#startedAtMs = startedAtMs;
  }

  /** Reads the file of the process before; a broken one is set aside, with a clear line in the log. */
  static async open(options: ObservedStoreOptions): Promise<ObservedStore> {
    const nowMs = (options.now ?? Date.now)();
    let base: ObservedState | undefined;
    const file = join(options.directory, fileName);
    try {
      base = await readState(file);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') {
        await rename(file, `${file}.broken`).catch(() => {});
        options.logger.error(
          { event: 'observed-broken', file, err: cause },
          `${file} cannot be read as observations; it is kept as ${fileName}.broken and counting starts anew`,
        );
      }
    }
    const store = new ObservedStore(options, base ?? emptyState(nowMs), nowMs);
    await store.#addLate();
    return store;
  }

  /** The body of `/observed`: the file's counts and this process's. */
  document(snapshot: TelemetrySnapshot): ObservedDocument {
    return documentOf(this.#state(snapshot), this.#phase);
  }

  /**
   * How long this sidecar has had each key, over restarts.
   *
   * @param kids of all keys that it has; others are forgotten
   */
  keyAges(kids: Iterable<string>): { kid: string; seconds: number }[] {
    const nowMs = this.#now();
    const known = this.#base.keysFirstSeen;
    const first = Object.fromEntries([...kids].map((kid) => [kid, known[kid] ?? timeText(nowMs)]));
    this.#base = { ...this.#base, keysFirstSeen: first };
    return Object.entries(first).map(([kid, time]) => ({
      kid,
      seconds: Math.max(0, nowMs - Date.parse(time)) / 1000,
    }));
  }

  /** Saves every `everyMs`, until handed over or closed. */
  saveRegularly(snapshot: () => Promise<TelemetrySnapshot>, everyMs = 30_000): void {
    const save = () =>
      snapshot()
        .then((taken) => this.save(taken))
        .catch((cause) => {
          this.#logger.error({ event: 'observed-not-saved', err: cause }, `${fileName} could not be saved`);
        });
    this.#timer = setInterval(save, everyMs).unref();
  }

  /** Writes the file, atomically, after any write that is under way. */
  save(snapshot: TelemetrySnapshot): Promise<void> {
    this.#saving = this.#saving
      .catch(() => {})
      .then(async () => {
        if (this.#handedOver !== undefined) return;
        await this.#addLate();
        await this.#write(fileName, this.#state(snapshot));
      });
    return this.#saving;
  }

  /** The last write under the lock; from then on another process owns the file. */
  async handOver(snapshot: TelemetrySnapshot): Promise<void> {
    clearInterval(this.#timer);
    // Rows go on counting while they are written: what is written and what is remembered as written must be one.
    const taken = {
      ...snapshot,
      rows: snapshot.rows.map((row) => ({ ...row })),
      hops: snapshot.hops.map((row) => ({ ...row })),
    };
    await this.save(taken).finally(() => {
      this.#handedOver = this.#live(taken);
    });
  }

  /** At exit: what was counted after the hand-over goes to a file of its own, for the process that owns observed.json. */
  async close(snapshot: TelemetrySnapshot): Promise<void> {
    clearInterval(this.#timer);
    if (this.#handedOver === undefined) return this.save(snapshot);
    const late = subtractStates(this.#live(snapshot), this.#handedOver);
    if (late.rows.length === 0 && late.hops.every(isEmpty)) return;
    await this.#write(`observed-late-${process.pid}.json`, late);
  }

  #write(name: string, state: ObservedState): Promise<void> {
    return replaceFile(join(this.#directory, name), observedText(state, this.#phase), { draft: 'fixed' });
  }

  #state(snapshot: TelemetrySnapshot): ObservedState {
    return addStates(this.#base, this.#live(snapshot), this.#now());
  }

  #live(snapshot: TelemetrySnapshot): ObservedState {
    return {
      sinceMs: this.#startedAtMs,
      recorded: [{ phase: this.#phase, fromMs: this.#startedAtMs, toMs: this.#now() }],
      rows: snapshot.rows,
      skew: skewOf(snapshot),
      hops: snapshot.hops,
      keysFirstSeen: {},
      overflow: snapshot.overflow,
    };
  }

  async #addLate(): Promise<void> {
    const names = await readdir(this.#directory).catch(() => []);
    for (const name of names.filter((each) => lateFile.test(each))) {
      const file = join(this.#directory, name);
      try {
        this.#base = addStates(this.#base, await readState(file), this.#now());
      } catch (cause) {
        this.#logger.error(
          { event: 'observed-broken', file, err: cause },
          `${file} cannot be read; it is dropped`,
        );
      }
      await rm(file, { force: true });
    }
  }
}

/** A hop that carried no call. */
function isEmpty({ sealed, plain, unproven }: HopRow): boolean {
  return sealed.count + plain.count + unproven.count === 0;
}

async function readState(file: string): Promise<ObservedState> {
  return stateOf(observedSchema.parse(JSON.parse(await readFile(file, 'utf8'))));
}

/** The document in pieces, so that a large table does not hold up the event loop. */
function* observedText(state: ObservedState, phase: Phase): Generator<string> {
  const { rows } = state;
  yield `${JSON.stringify(documentHead(state, phase)).slice(0, -1)},"observations":[`;
  for (let from = 0; from < rows.length; from += rowsPerWrite) {
    const text = JSON.stringify(rows.slice(from, from + rowsPerWrite).map(observation)).slice(1, -1);
    yield from === 0 ? text : `,${text}`;
  }
  yield ']}\n';
}
