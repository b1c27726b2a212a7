import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';

/** Where the watch of a folder cannot reach (a symlink to elsewhere, a network file system) a look this often does. */
const lookEveryMs = 5_000;
/** A writer that is not atomic makes several events; the change is told once they have ceased for so long. */
const settleMs = 50;

/**
 * Tells of changes of files. Their folders are watched, so a rename over a file counts, and so does a file that comes later.
 * It also tells once at first, so that nothing is missed between reading the files and watching them.
 */
export class WatchedFiles {
  readonly #paths: readonly string[];
  readonly #onChange: () => void;
  readonly #watchers: FSWatcher[] = [];
  readonly #looks: NodeJS.Timeout;
  #settling: NodeJS.Timeout | undefined;
  #seen = '';

  constructor(paths: readonly string[], onChange: () => void) {
    this.#paths = paths;
    this.#onChange = onChange;
    const names = new Set(paths.map((path) => basename(path)));
    for (const folder of new Set(paths.map((path) => dirname(path)))) {
      const watcher = watch(folder, { persistent: false }, (_event, changed) => {
        if (changed === null || names.has(changed)) this.#settle();
      });
      watcher.on('error', () => watcher.close());
      this.#watchers.push(watcher);
    }
    this.#looks = setInterval(() => void this.#look(), lookEveryMs).unref();
    void this.#look();
  }

  close(): void {
    for (const watcher of this.#watchers) watcher.close();
    clearInterval(this.#looks);
    clearTimeout(this.#settling);
  }

  async #look(): Promise<void> {
    const seen = (await Promise.all(this.#paths.map(identity))).join();
    if (seen === this.#seen) return;
    this.#seen = seen;
    this.#settle();
  }

  #settle(): void {
    clearTimeout(this.#settling);
    this.#settling = setTimeout(this.#onChange, settleMs).unref();
  }
}

function identity(file: string): Promise<string> {
  return stat(file, { bigint: true }).then(
    (s) => `${s.dev}:${s.ino}:${s.ctimeNs}`,
    () => 'absent',
  );
}
