import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { promisify, stripVTControlCharacters } from 'node:util';

const run = promisify(execFile);

/** A program in a pseudo-terminal (script of util-linux), and what it has drawn with cursor addresses. */
export class PseudoTerminal {
  readonly child: ChildProcess;
  readonly closed: Promise<number | null>;
  text = '';
  #wake = () => {};

  /** @param command for the shell; `stty -a` runs after it, in the same terminal */
  constructor(
    t: { teardown(done: () => unknown): void },
    command: string,
    env: Readonly<Record<string, string>> = {},
  ) {
    const line = `stty rows 24 cols 80; tty; sh -c 'echo pid $$; exec ${command}'; echo exited $?; stty -a`;
    this.child = spawn('script', ['-qefc', line, '/dev/null'], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { PATH: process.env.PATH, TERM: 'xterm-256color', ...env },
    });
    t.teardown(() => this.child.kill('SIGKILL'));
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.text += text;
      this.#wake();
    });
    this.closed = new Promise((resolve) =>
      this.child.once('close', (code) => {
        resolve(code);
        this.#wake();
      }),
    );
  }

  /** Waits until `enough` holds; rejects when the program has ended without. */
  async until(enough: () => boolean): Promise<void> {
    while (!enough()) {
      if (this.child.exitCode !== null) throw new Error(`it has ended: ${JSON.stringify(this.text)}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  press(keys: string): void {
    this.child.stdin?.write(keys);
  }

  get pid(): number {
    return Number(/pid (\d+)/.exec(this.text)?.[1]);
  }

  async resize(rows: number, columns: number): Promise<void> {
    const name = /\/dev\/pts\/\d+/.exec(this.text)?.[0] as string;
    await run('stty', ['-F', name, 'rows', String(rows), 'cols', String(columns)]);
  }

  /** The rows as they stand now, without colours. */
  get rows(): string[] {
    const rows: string[] = [];
    const pictures = this.text.slice(this.text.lastIndexOf('\x1b[2J') + 1);
    // Up to the next cursor address, or the end of the alternate screen.
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what they begin with
    for (const piece of pictures.split(/(?=\x1b\[\d+;1H)|(?=\x1b\[\?)/)) {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: as above
      const [, row, line] = /^\x1b\[(\d+);1H(.*)$/s.exec(piece) ?? [];
      if (row !== undefined) rows[Number(row) - 1] = stripVTControlCharacters(line as string);
    }
    return Array.from(rows, (row) => row ?? '');
  }
}
