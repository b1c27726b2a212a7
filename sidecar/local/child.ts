import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, existsSync, type WriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { HeldSocket } from './held-socket.ts';

export interface ChildOptions {
  /** What messages call it. */
  readonly name: string;
  readonly command: string;
  readonly words: readonly string[];
  /** What it prints is appended here. */
  readonly log: string;
  /** Events that `reached` waits for, each with what it prints then: the `msg` of a line of JSON, or any other line. */
  readonly milestones: Readonly<Record<string, RegExp>>;
  /** Handed on by systemd's protocol: descriptors from 3, LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES. */
  readonly sockets?: readonly HeldSocket[];
}

/** What a process with sockets is started through: only its own shell knows the number that LISTEN_PID must hold. */
const activation =
  'LISTEN_PID=$$ LISTEN_FDS=$1 LISTEN_FDNAMES=$2; export LISTEN_PID LISTEN_FDS LISTEN_FDNAMES; shift 2; exec "$@"';

/** Kept for the message of a child that ends too early. */
const keptLines = 10;

/** A process of the local fleet. It ends when this process does, however that happens. */
export class Child {
  readonly name: string;
  readonly pid: number;
  /** Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
  readonly #process: ChildProcess;
  readonly #log: WriteStream;
  readonly #lastLines: string[] = [];
  readonly #passed = new Set<string>();
  readonly #waiting = new Map<string, () => void>();
  #running = true;

  readonly #milestones: ChildOptions['milestones'];

  constructor({ name, command, words, log, milestones, sockets = [] }: ChildOptions) {
    this.name = name;
    this.#milestones = milestones;
    const names = sockets.map((socket) => socket.name).join(':');
    const activated =
      sockets.length === 0
        ? [command, ...words]
        : ['/bin/sh', '-c', activation, 'sh', String(sockets.length), names, command, ...words];
    const [program, ...rest] = [...diesWithUs(), ...activated] as [string, ...string[]];
    this.#log = createWriteStream(log, { flags: 'a', mode: 0o600 });
    this.#process = spawn(program, rest, {
      // A group of its own: Ctrl-C reaches `up` alone, which then ends everything in order.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', ...sockets.map((socket) => socket.fd)],
    });
    this.pid = this.#process.pid ?? 0;
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      if (stream) createInterface({ input: stream }).on('line', (line) => this.#take(line));
    }
    this.ended = new Promise((resolve) => {
      const end = (reason: number | NodeJS.Signals) => {
        this.#running = false;
        this.#log.end();
        resolve(reason);
      };
      this.#process.once('error', (error) => {
        this.#take(error.message);
        end(127);
      });
      this.#process.once('close', (code, signal) => end(code ?? signal ?? 0));
    });
  }

  get running(): boolean {
    return this.#running;
  }

  /**
   * Settles when the process has passed one of these milestones.
   *
   * @throws {ChildError} when it ends before that
   */
  async reached(...milestones: readonly string[]): Promise<void> {
    if (milestones.some((milestone) => this.#passed.has(milestone))) return;
    const { promise, resolve } = Promise.withResolvers<'reached'>();
    for (const milestone of milestones) this.#waiting.set(milestone, () => resolve('reached'));
    const first = await Promise.race([promise, this.ended]);
    if (first !== 'reached') throw this.endedEarly(first);
  }

  /** What to say when the process is gone and should not be. */
  endedEarly(reason: number | NodeJS.Signals): ChildError {
    return new ChildError(this.name, reason, this.#lastLines);
  }

  /** SIGTERM, and SIGKILL when it has not ended `graceMs` later. */
  async stop(graceMs: number): Promise<void> {
    if (!this.#running) return;
    this.signal('SIGTERM');
    const late = setTimeout(() => this.signal('SIGKILL'), graceMs);
    await this.ended;
    clearTimeout(late);
  }

  signal(signal: NodeJS.Signals): void {
    if (this.#running) this.#process.kill(signal);
  }

  #take(line: string): void {
    this.#log.write(`${line}\n`);
    const text = readable(line);
    this.#lastLines.push(text);
    if (this.#lastLines.length > keptLines) this.#lastLines.shift();
    for (const [milestone, pattern] of Object.entries(this.#milestones)) {
      if (!pattern.test(text)) continue;
      this.#passed.add(milestone);
      this.#waiting.get(milestone)?.();
      this.#waiting.delete(milestone);
    }
  }
}

/** A process that ended before it was ready, with the last that it said. */
export class ChildError extends Error {
  readonly code = 'child-ended';
  constructor(name: string, reason: number | NodeJS.Signals, lines: readonly string[]) {
    const how = typeof reason === 'number' ? `exit code ${reason}` : reason;
    super(
      [`${name} ended with ${how}${lines.length > 0 ? ':' : ''}`, ...lines.map((line) => `  ${line}`)].join(
        '\n',
      ),
    );
    this.name = 'ChildError';
  }
}

/** util-linux's way to say: SIGTERM when the parent is gone. Without it only a killed `up` leaves something behind. */
function diesWithUs(): string[] {
  const setpriv = '/usr/bin/setpriv';
  return existsSync(setpriv) ? [setpriv, '--pdeathsig', 'TERM'] : [];
}

/** The `msg` of a line of JSON; any other line as it is. */
function readable(line: string): string {
  if (!line.startsWith('{')) return line;
  try {
    const { msg } = JSON.parse(line) as { msg?: unknown };
    return typeof msg === 'string' ? msg : line;
  } catch {
    return line;
  }
}
