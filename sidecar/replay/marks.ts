import { replaceFile } from '../files/replace-file.ts';
import { windowSeconds } from '../signature/tags.ts';
import { readRegularFile } from './regular-file.ts';
import { mostAheadSeconds, type ReplayMemory } from './replay-memory.ts';
import { StateError } from './state-error.ts';

/** Seconds by which a mark is ahead of the clock: what a crash costs a caller whose clock is right. */
export const aheadSeconds = 2;

/** How the data path makes a request with a `created` past its mark admissible. */
export interface MarkCover {
  /**
   * Resolves when the durable mark of the key id covers `created`, or never will; then ask the memory again, once.
   *
   * @throws {StateError} when the mark can't be written: then nothing past it may be accepted
   */
  cover(kid: string, created: number): Promise<void>;
}

/** What the file of marks says. */
export interface DurableMarks {
  /** By key id, in seconds since the epoch. */
  readonly marks: ReadonlyMap<string, number>;
  /** Until then, in seconds since the epoch, the marks do not tell all that was accepted; 0 when they do. */
  readonly wholeFrom: number;
}

/**
 * Reads the durable marks; undefined when there is no file of them.
 *
 * @throws {StateError} when it is no regular file, or can't be read
 */
export async function readMarks(file: string): Promise<DurableMarks | undefined> {
  const text = await readRegularFile(file);
  if (text === undefined) return undefined;
  try {
    const content = JSON.parse(text) as { marks: Record<string, number>; whole_from?: number };
    const entries = Object.entries(content.marks);
    const { whole_from: wholeFrom = 0 } = content;
    if ([wholeFrom, ...entries.map(([, mark]) => mark)].every((second) => Number.isSafeInteger(second)))
      return { marks: new Map(entries), wholeFrom };
  } catch {
    // Damaged, see below.
  }
  // As if no key id had a mark, which refuses more, not less.
  return { marks: new Map(), wholeFrom: 0 };
}

/**
 * Keeps the durable marks: no `created` is accepted that is past the mark of its key id, so after a crash, when the
 * memory is gone, everything up to the mark may have been accepted, and nothing past it was.
 *
 * A mark is written for every key id at once, ahead of its use; writes that are asked for meanwhile become one.
 */
export class Marks implements MarkCover {
  readonly #file: string;
  readonly #memory: ReplayMemory;
  readonly #nowSeconds: () => number;
  /** What a key id without a mark of its own is refused up to. */
  readonly #refusedUnmarked: number;
  readonly #wholeFrom: number;
  readonly #kids = new Set<string>();
  readonly #wanted = new Map<string, number>();
  #running: Promise<void> = Promise.resolve();
  #queued: Promise<void> | undefined;
  #closed = false;

  /**
   * @param nowSeconds seconds since the epoch, by the clock of retention
   * @param refusedUnmarked seconds since the epoch; 0 for nothing
   * @param wholeFrom see `DurableMarks`
   */
  constructor(
    file: string,
    memory: ReplayMemory,
    nowSeconds: () => number,
    { refusedUnmarked, wholeFrom }: { readonly refusedUnmarked: number; readonly wholeFrom: number },
  ) {
    this.#file = file;
    this.#memory = memory;
    this.#nowSeconds = nowSeconds;
    this.#refusedUnmarked = refusedUnmarked;
    this.#wholeFrom = wholeFrom;
  }

  /** Takes up the key ids of a keyring: from then on they have marks. Those of before keep theirs. */
  async use(kids: Iterable<string>): Promise<void> {
    let added = false;
    for (const kid of kids) added = this.#add(kid) || added;
    if (added) await this.#flush();
  }

  #add(kid: string): boolean {
    if (this.#kids.has(kid)) return false;
    if (!this.#memory.use(kid, 0, this.#refusedUnmarked))
      throw new StateError(`no room for the key id ${JSON.stringify(kid)} in the replay memory`);
    this.#kids.add(kid);
    return true;
  }

  async cover(kid: string, created: number): Promise<void> {
    if (this.#closed) return;
    this.#add(kid);
    if ((this.#memory.mark(kid) ?? 0) >= created) return;
    this.#wanted.set(kid, Math.max(created, this.#wanted.get(kid) ?? 0));
    await this.#flush();
  }

  /** Moves all marks ahead of the clock again. */
  refresh(): Promise<void> {
    return this.#flush();
  }

  /** Writes nothing any more; resolves when nothing is being written. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled([this.#running, this.#queued]);
  }

  #flush(): Promise<void> {
    this.#queued ??= this.#running
      .catch(() => {})
      .then(() => {
        this.#queued = undefined;
        this.#running = this.#closed ? Promise.resolve() : this.#write();
        return this.#running;
      });
    return this.#queued;
  }

  async #write(): Promise<void> {
    const now = this.#nowSeconds();
    const ahead = now + aheadSeconds;
    const most = now + mostAheadSeconds;
    const marks = new Map<string, number>();
    for (let index = 0; index < this.#memory.kids.count; index++) {
      const kid = this.#memory.kids.name(index);
      const mark = Math.max(this.#memory.mark(kid) ?? 0, this.#memory.refusedTo(kid));
      if (this.#kids.has(kid)) {
        const wanted = this.#wanted.get(kid) ?? 0;
        // A caller whose clock is ahead gets a lead of its own, or each of its seconds would need a write.
        marks.set(
          kid,
          Math.max(mark, ahead, Math.min(most, wanted > ahead ? wanted + aheadSeconds : wanted)),
        );
      } else if (mark > now - windowSeconds) marks.set(kid, mark); // an older keyring may come back
    }
    this.#wanted.clear();
    const incomplete = this.#wholeFrom > now ? { whole_from: this.#wholeFrom } : undefined;
    const text = JSON.stringify({ marks: Object.fromEntries(marks), ...incomplete });
    try {
      await replaceFile(this.#file, `${text}\n`, { draft: 'fixed' });
    } catch (error) {
      throw new StateError(`${this.#file} can't be written; free space or mend the state directory`, {
        cause: error,
      });
    }
    for (const [kid, mark] of marks) this.#memory.raiseMark(kid, mark);
  }
}
