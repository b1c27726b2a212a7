import { readFile } from 'node:fs/promises';
import { replaceFile } from '../files/replace-file.ts';
import { windowSeconds } from '../signature/tags.ts';
import type { ReplayMemory } from './replay-memory.ts';
import { StateError } from './state-error.ts';

/** Seconds by which a mark is ahead of the clock: what a crash costs a caller whose clock is right. */
const aheadSeconds = 2;

/** How the data path makes a request with a `created` past its mark admissible. */
export interface MarkCover {
  /**
   * Resolves when the durable mark of the key id covers `created`, or never will; then ask the memory again, once.
   *
   * @throws {StateError} when the mark can't be written: then nothing past it may be accepted
   */
  cover(kid: string, created: number): Promise<void>;
}

/** Durable marks by key id, in seconds since the epoch; undefined when there is no file of them. */
export async function readMarks(file: string): Promise<ReadonlyMap<string, number> | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new StateError(`${file} can't be read`, { cause: error });
  }
  try {
    const { marks } = JSON.parse(text) as { marks: Record<string, number> };
    const entries = Object.entries(marks);
    return new Map(entries.every(([, mark]) => Number.isSafeInteger(mark)) ? entries : []);
  } catch {
    // Damaged: as if no key id had a mark, which refuses more, not less.
    return new Map();
  }
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
  readonly #now: () => number;
  /** What a key id without a mark of its own is refused up to. */
  readonly #refusedUnmarked: number;
  readonly #kids = new Set<string>();
  readonly #wanted = new Map<string, number>();
  #running: Promise<void> = Promise.resolve();
  #queued: Promise<void> | undefined;
  #closed = false;

  /** @param now milliseconds since the epoch @param refusedUnmarked seconds since the epoch; 0 for nothing */
  constructor(file: string, memory: ReplayMemory, now: () => number, refusedUnmarked: number) {
    this.#file = file;
    this.#memory = memory;
    this.#now = now;
    this.#refusedUnmarked = refusedUnmarked;
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
    const now = Math.floor(this.#now() / 1000);
    const ahead = now + aheadSeconds;
    const marks = new Map<string, number>();
    for (let index = 0; index < this.#memory.kids.count; index++) {
      const kid = this.#memory.kids.name(index);
      const mark = Math.max(this.#memory.mark(kid) ?? 0, this.#memory.refusedTo(kid));
      if (this.#kids.has(kid)) {
        const wanted = this.#wanted.get(kid) ?? 0;
        // A caller whose clock is ahead gets a lead of its own, or each of its seconds would need a write.
        marks.set(kid, Math.max(mark, ahead, wanted > ahead ? wanted + aheadSeconds : wanted));
      } else if (mark > now - windowSeconds) marks.set(kid, mark); // an older keyring may come back
    }
    this.#wanted.clear();
    const text = JSON.stringify({ marks: Object.fromEntries(marks) });
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
