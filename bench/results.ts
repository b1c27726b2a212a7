import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Machine } from './machine.ts';
import type { Mode, Result } from './subject.ts';

/** What a subject found, with what it was found on. */
export interface Kept extends Result {
  readonly mode: Mode;
  /** RFC 3339. */
  readonly at: string;
  readonly machine: Machine;
  /** By the peers' titles. */
  readonly versions: Readonly<Record<string, string>>;
}

/** A folder of results. Quick runs have one of their own: they are no result that anybody should quote. */
export class Results {
  readonly #folder: string;

  constructor(mode: Mode) {
    this.#folder = join(import.meta.dirname, 'results', mode === 'quick' ? 'quick' : '');
  }

  async keep(result: Kept): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    await writeFile(join(this.#folder, `${result.id}.json`), `${JSON.stringify(result, undefined, 1)}\n`);
  }

  async keepPlot(name: string, svg: string): Promise<void> {
    await writeFile(join(this.#folder, `${name}.svg`), svg);
  }

  /** The last result of a subject; undefined when it was never run here. */
  async kept(id: string): Promise<Kept | undefined> {
    try {
      return JSON.parse(await readFile(join(this.#folder, `${id}.json`), 'utf8')) as Kept;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }
}
