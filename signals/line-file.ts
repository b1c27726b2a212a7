import { type FileHandle, open } from 'node:fs/promises';

/** A file of JSON lines, mode 0600, that is only appended to. It is pure ASCII: everything else is escaped as JSON allows. */
export class LineFile {
  readonly #path: string;
  #handle: Promise<FileHandle> | undefined = undefined;
  /** Writes, one after another. */
  #last: Promise<unknown> = Promise.resolve();
  /** The last write failed, perhaps within a line. */
  #isTorn = false;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Appends lines of JSON.
   *
   * @param lines without a line break at the end
   * @throws an error of node:fs; the next write opens the file again
   */
  write(lines: string): Promise<void> {
    const written = this.#last.then(async () => {
      this.#handle ??= open(this.#path, 'a', 0o600);
      try {
        const text = `${this.#isTorn ? '\n' : ''}${inAscii(lines)}\n`;
        await (await this.#handle).appendFile(text, 'latin1');
        this.#isTorn = false;
      } catch (error) {
        this.#isTorn = true;
        await this.#close();
        throw error;
      }
    });
    this.#last = written.catch(() => {});
    return written;
  }

  /** Closes the file; the next write opens what has its name then, and makes it when there is none. */
  reopen(): void {
    this.#last = this.#last.then(() => this.#close());
  }

  async #close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.then((file) => file.close()).catch(() => {});
  }
}

/** JSON in which nothing can act on a terminal: control characters of C1 and those that turn text around are escaped, too. */
export function inAscii(json: string): string {
  // Line breaks separate the lines.
  return json.replace(/[^\x20-\x7e\n]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
