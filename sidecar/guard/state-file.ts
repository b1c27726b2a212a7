import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { replaceFile } from '../files/replace-file.ts';
import { freshState, type GuardState } from './decide.ts';

const time = z.iso.datetime();
const schema = z.strictObject({
  swap: z.strictObject({ since: time, gate: z.string(), ready: z.boolean() }).nullable(),
  last_rollback: z.strictObject({ at: time, why: z.string() }).nullable(),
});

/** guard.json: what the guard remembers over its own restarts. */
export class StateFile {
  readonly file: string;
  #written = '';

  constructor(directory: string) {
    this.file = join(directory, 'guard.json');
  }

  /** The state; `undefined` when the file is broken: a fresh state then begins a bake window anew. */
  async read(): Promise<GuardState | undefined> {
    let text: string;
    try {
      text = await readFile(this.file, 'utf8');
    } catch (cause) {
      return (cause as NodeJS.ErrnoException).code === 'ENOENT' ? freshState : undefined;
    }
    try {
      const { swap, last_rollback } = schema.parse(JSON.parse(text));
      return {
        swap:
          swap === null ? undefined : { sinceMs: Date.parse(swap.since), gate: swap.gate, ready: swap.ready },
        lastRollback:
          last_rollback === null ? undefined : { atMs: Date.parse(last_rollback.at), why: last_rollback.why },
      };
    } catch {
      return undefined;
    }
  }

  /** Writes a changed state: synced and renamed. */
  async write({ swap, lastRollback }: GuardState): Promise<void> {
    const document: z.output<typeof schema> = {
      swap:
        swap === undefined
          ? null
          : { since: new Date(swap.sinceMs).toISOString(), gate: swap.gate, ready: swap.ready },
      last_rollback:
        lastRollback === undefined
          ? null
          : { at: new Date(lastRollback.atMs).toISOString(), why: lastRollback.why },
    };
    const text = `${JSON.stringify(document, null, 2)}\n`;
    if (text === this.#written) return;
    await mkdir(join(this.file, '..'), { recursive: true, mode: 0o750 });
    await replaceFile(this.file, text, { mode: 0o640, draft: 'fixed' });
    this.#written = text;
  }
}
