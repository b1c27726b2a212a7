import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Machine } from './machine.ts';
import type { Mode, Result } from './subject.ts';

const folder = join(import.meta.dirname, 'results');

/** What a subject found, with what it was found on. */
export interface Kept extends Result {
  readonly mode: Mode;
  /** RFC 3339. */
  readonly at: string;
  readonly machine: Machine;
  /** By the peers' ids. */
  readonly versions: Readonly<Record<string, string>>;
}

export async function keep(result: Kept): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${result.id}.json`), `${JSON.stringify(result, undefined, 1)}\n`);
}

export async function keepPlot(name: string, svg: string): Promise<void> {
  await writeFile(join(folder, `${name}.svg`), svg);
}

/** The last result of a subject; undefined when it was never run here. */
export async function kept(id: string): Promise<Kept | undefined> {
  try {
    return JSON.parse(await readFile(join(folder, `${id}.json`), 'utf8')) as Kept;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
