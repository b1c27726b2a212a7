import { open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import {
  type Observation,
  type ObservedDocument,
  observation,
  observedSchema,
  type Phase,
  skewOf,
  timeText,
} from './documents.ts';
import { rowKey } from './observed-table.ts';
import type { TelemetrySnapshot } from './snapshot.ts';

const fileName = 'observed.json';
/** What a process that drains still counts after it handed the state over: the next one adds it up. */
const lateFile = /^observed-late-\d+\.json$/;
const mostObservations = 5000;
const rowsPerWrite = 200;
const forgottenAfterMs = 90 * 24 * 3600 * 1000;

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
  #base: ObservedDocument;
  /** What had been counted when the state was handed over; undefined before. */
  #handedOver: ObservedDocument | undefined;
  #saving: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  private constructor(options: ObservedStoreOptions, base: ObservedDocument, startedAtMs: number) {
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
    let base: ObservedDocument | undefined;
    const file = join(options.directory, fileName);
    try {
      base = observedSchema.parse(JSON.parse(await readFile(file, 'utf8')));
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') {
        await rename(file, `${file}.broken`).catch(() => {});
        options.logger.error(
          { event: 'observed-broken', file, err: cause },
          `${file} cannot be read as observations; it is kept as ${fileName}.broken and counting starts anew`,
        );
      }
    }
    const store = new ObservedStore(options, base ?? empty(options.phase, nowMs), nowMs);
    await store.#addLate();
    return store;
  }

  /** The body of `/observed`: the file's counts and this process's. */
  document(snapshot: TelemetrySnapshot): ObservedDocument {
    return addDocuments(this.#base, this.#live(snapshot), this.#phase, this.#now());
  }

  /**
   * How long this sidecar has had each key, over restarts.
   *
   * @param kids of all keys that it has; others are forgotten
   */
  keyAges(kids: Iterable<string>): { kid: string; seconds: number }[] {
    const nowMs = this.#now();
    const known = this.#base.keys_first_seen;
    const first = Object.fromEntries([...kids].map((kid) => [kid, known[kid] ?? timeText(nowMs)]));
    this.#base = { ...this.#base, keys_first_seen: first };
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
        await writeAtomically(join(this.#directory, fileName), this.document(snapshot));
      });
    return this.#saving;
  }

  /** The last write under the lock; from then on another process owns the file. */
  async handOver(snapshot: TelemetrySnapshot): Promise<void> {
    clearInterval(this.#timer);
    await this.save(snapshot).finally(() => {
      this.#handedOver = structuredClone(this.#live(snapshot));
    });
  }

  /** At exit: what was counted after the hand-over goes to a file of its own, for the process that owns observed.json. */
  async close(snapshot: TelemetrySnapshot): Promise<void> {
    clearInterval(this.#timer);
    if (this.#handedOver === undefined) return this.save(snapshot);
    const late = subtract(this.#live(snapshot), this.#handedOver);
    if (late.observations.length === 0) return;
    await writeAtomically(join(this.#directory, `observed-late-${process.pid}.json`), late);
  }

  #live(snapshot: TelemetrySnapshot): ObservedDocument {
    const seconds = Math.max(0, this.#now() - this.#startedAtMs) / 1000;
    return {
      since: timeText(this.#startedAtMs),
      phase: this.#phase,
      recorded_seconds: { logging: 0, enforcing: 0, [this.#phase]: seconds },
      observations: snapshot.rows.map(observation),
      skew: skewOf(snapshot),
      keys_first_seen: {},
      overflow: snapshot.overflow,
    };
  }

  async #addLate(): Promise<void> {
    const names = await readdir(this.#directory).catch(() => []);
    for (const name of names.filter((each) => lateFile.test(each))) {
      const file = join(this.#directory, name);
      try {
        const late = observedSchema.parse(JSON.parse(await readFile(file, 'utf8')));
        this.#base = addDocuments(this.#base, late, this.#phase, this.#now());
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

function empty(phase: Phase, nowMs: number): ObservedDocument {
  return {
    since: timeText(nowMs),
    phase,
    recorded_seconds: { logging: 0, enforcing: 0 },
    observations: [],
    skew: [],
    keys_first_seen: {},
    overflow: 0,
  };
}

// Times that this module writes are all in UTC and of one length, so their order is that of their text.
const earlier = (one: string, two: string) => (one <= two ? one : two);
const later = (one: string, two: string) => (one > two ? one : two);

/** Adds the counts of two documents up; rows that nobody has seen for 90 days go. */
export function addDocuments(
  one: ObservedDocument,
  two: ObservedDocument,
  phase: Phase,
  nowMs: number,
): ObservedDocument {
  const rows = new Map<string, Observation>();
  for (const row of [...one.observations, ...two.observations]) {
    const other = rows.get(rowKey(row));
    if (other === undefined) rows.set(rowKey(row), row);
    else
      rows.set(rowKey(row), {
        ...other,
        count: other.count + row.count,
        first: earlier(other.first, row.first),
        last: later(other.last, row.last),
      });
  }
  const fresh = [...rows.values()].filter((row) => nowMs - Date.parse(row.last) <= forgottenAfterMs);
  fresh.sort((a, b) => (a.last < b.last ? 1 : -1));
  const kept = fresh.slice(0, mostObservations);
  const lost = fresh.slice(mostObservations).reduce((sum, row) => sum + row.count, 0);
  const recorded = (of: Phase) => (one.recorded_seconds?.[of] ?? 0) + (two.recorded_seconds?.[of] ?? 0);
  return {
    since: earlier(one.since, two.since),
    phase,
    recorded_seconds: { logging: recorded('logging'), enforcing: recorded('enforcing') },
    observations: kept,
    skew: addSkew(one.skew, two.skew),
    keys_first_seen: { ...two.keys_first_seen, ...one.keys_first_seen },
    overflow: one.overflow + two.overflow + lost,
  };
}

function addSkew(one: ObservedDocument['skew'], two: ObservedDocument['skew']): ObservedDocument['skew'] {
  const pairs = new Map<string, ObservedDocument['skew'][number]>();
  for (const row of [...one, ...two]) {
    const key = `${row.caller} ${row.callee}`;
    const other = pairs.get(key);
    if (other === undefined) {
      pairs.set(key, row);
      continue;
    }
    const count = other.count + row.count;
    pairs.set(key, {
      ...row,
      count,
      mean_seconds: (other.mean_seconds * other.count + row.mean_seconds * row.count) / count,
      min_seconds: Math.min(other.min_seconds, row.min_seconds),
      max_seconds: Math.max(other.max_seconds, row.max_seconds),
    });
  }
  return [...pairs.values()];
}

/** The calls that `now` counts beyond `then`. */
function subtract(now: ObservedDocument, then: ObservedDocument): ObservedDocument {
  const before = new Map(then.observations.map((row) => [rowKey(row), row.count]));
  return {
    ...now,
    recorded_seconds: { logging: 0, enforcing: 0 },
    observations: now.observations
      .map((row) => ({ ...row, count: row.count - (before.get(rowKey(row)) ?? 0) }))
      .filter((row) => row.count > 0),
    skew: [],
    keys_first_seen: {},
    overflow: now.overflow - then.overflow,
  };
}

async function writeAtomically(file: string, document: ObservedDocument): Promise<void> {
  const unfinished = `${file}.${process.pid}.tmp`;
  const handle = await open(unfinished, 'w', 0o600);
  try {
    const { observations, ...rest } = document;
    await handle.write(`${JSON.stringify(rest).slice(0, -1)},"observations":[`);
    // In pieces, so that a large table does not hold up the event loop.
    for (let from = 0; from < observations.length; from += rowsPerWrite) {
      const text = JSON.stringify(observations.slice(from, from + rowsPerWrite)).slice(1, -1);
      await handle.write(from === 0 ? text : `,${text}`);
    }
    await handle.write(']}\n');
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(unfinished, file);
}
