import { stripVTControlCharacters } from 'node:util';

const enter = '\x1b[?1049h\x1b[?25l';
const leave = '\x1b[?25h\x1b[?1049l';

/** A terminal that is taken over and given back. */
export interface Terminal {
  readonly input: NodeJS.ReadStream;
  readonly output: NodeJS.WriteStream;
}

/**
 * The alternate screen of a terminal, for pictures that are drawn again and again. It is left, with the cursor and the mode of
 * the keyboard as they were, by `close()` and when the process ends.
 */
export class Screen {
  readonly #terminal: Terminal;
  readonly #onKey: (key: string) => void;
  readonly #onResize: () => void;
  #lines: readonly (string | undefined)[] = [];
  #isOpen = true;

  /**
   * @param onKey a key as the terminal sends it, such as `q`; Ctrl-C is `\x03`
   * @param onResize the size has changed: draw again
   */
  constructor(terminal: Terminal, onKey: (key: string) => void, onResize: () => void) {
    this.#terminal = terminal;
    this.#onKey = onKey;
    this.#onResize = () => {
      terminal.output.write('\x1b[2J');
      this.#lines = [];
      onResize();
    };
    const { input, output } = terminal;
    output.write(enter);
    process.on('exit', this.#restore);
    output.on('resize', this.#onResize);
    if (!input.isTTY) return;
    input.setRawMode(true);
    input.setEncoding('utf8').on('data', this.#take).resume();
  }

  get size(): { readonly columns: number; readonly rows: number } {
    const { columns = 80, rows = 24 } = this.#terminal.output;
    return { columns, rows };
  }

  /**
   * Draws lines; those that stay the same are not written again, so that they can be marked, and what does not fit is cut off.
   *
   * @param wrapped stand below them as they are, for to be copied: they go on in the next line where they are too long
   */
  draw(lines: readonly string[], wrapped: readonly string[] = []): void {
    if (!this.#isOpen) return;
    const { columns, rows } = this.size;
    const placed: (string | undefined)[] = lines.slice(0, rows).map((line) => cutLine(line, columns));
    for (const line of wrapped) {
      const height = Math.max(1, Math.ceil(line.length / columns));
      if (placed.length + height > rows) break;
      // The rows that it goes on in are its own.
      placed.push(line, ...Array.from({ length: height - 1 }, () => undefined));
    }
    const isFirst = this.#lines.length === 0;
    let text = '';
    for (let row = 0; row < rows; row++) {
      const line = row < placed.length ? placed[row] : '';
      const before = row < this.#lines.length ? this.#lines[row] : '';
      if (line === undefined || (line === before && !isFirst)) continue;
      // First the row is emptied: behind a line that fills it the cursor is in the next one already.
      text += `\x1b[${row + 1};1H\x1b[K${line}\x1b[0m`;
    }
    this.#lines = placed;
    if (text !== '') this.#terminal.output.write(text);
  }

  close(): void {
    process.off('exit', this.#restore);
    this.#restore();
  }

  readonly #restore = () => {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    const { input, output } = this.#terminal;
    output.off('resize', this.#onResize);
    output.write(leave);
    if (!input.isTTY) return;
    input.off('data', this.#take).pause();
    input.setRawMode(false);
  };

  readonly #take = (keys: string) => {
    // Pasted text and escape sequences are no keys of ours.
    if (!keys.startsWith('\x1b')) for (const key of keys) this.#onKey(key);
  };
}

/** A line of at most so many characters. Colours count for none; a line that has any and is too long loses them. */
function cutLine(line: string, columns: number): string {
  const plain = stripVTControlCharacters(line);
  return plain.length <= columns ? line : plain.slice(0, columns);
}
