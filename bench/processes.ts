import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** Of the kernel, per second, in /proc/PID/stat: USER_HZ is 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;

/** CPU time that processes have used so far, all threads, by the kernel's accounting; microseconds. */
export interface CpuTime {
  readonly user: number;
  readonly system: number;
}

/** A process that was measured is not there any more. */
export class ProcessEnded extends Error {
  readonly pid: number;
  constructor(pid: number) {
    super(`process ${pid} has ended`);
    this.name = 'ProcessEnded';
    this.pid = pid;
  }
}

/** @throws {ProcessEnded} */
export function cpuTime(pids: readonly number[]): CpuTime {
  let user = 0;
  let system = 0;
  for (const pid of pids) {
    const fields = afterName(ofProcess(pid, 'stat'));
    // Killed, and not yet waited for.
    if (fields[0] === 'Z') throw new ProcessEnded(pid);
    const ticks = { user: Number(fields[11]), all: Number(fields[11]) + Number(fields[12]) };
    // Ticks are 10 ms, the scheduler counts nanoseconds: they say how much, the ticks how it is shared.
    const all = scheduledTime(pid) ?? ticks.all * (1e6 / ticksPerSecond);
    const ofUser = ticks.all === 0 ? 0 : (all * ticks.user) / ticks.all;
    user += ofUser;
    system += all - ofUser;
  }
  return { user, system };
}

/** What the scheduler has given to the living threads of a process, µs; undefined where the kernel does not tell. */
function scheduledTime(pid: number): number | undefined {
  try {
    let nanoseconds = 0;
    for (const thread of readdirSync(`/proc/${pid}/task`))
      nanoseconds += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ', 1)[0]);
    return nanoseconds / 1000;
  } catch {
    return undefined;
  }
}

/**
 * CPU time that all processes of the machine have used, and what other guests of its host have taken from it; µs. Interrupts
 * do not count: the network of the bench itself is made of them.
 */
export function machineCpuTime(): number {
  const [, user, nice, system, , , , , steal] = readFileSync('/proc/stat', 'utf8')
    .split('\n', 1)[0]!
    .split(/ +/);
  return [user, nice, system, steal].reduce((sum, ticks) => sum + Number(ticks), 0) * (1e6 / ticksPerSecond);
}

/** Fields of /proc/PID/stat from the third on: the second, in parentheses, may hold anything. */
function afterName(stat: string): string[] {
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** Memory of processes, in bytes. */
export interface Memory {
  readonly resident: number;
  /** What no other process can share: all but the pages of files, such as the program itself. */
  readonly own: number;
}

/** Memory of all of them together. @throws {ProcessEnded} */
export function memoryOf(pids: readonly number[]): Memory {
  let resident = 0;
  let own = 0;
  for (const pid of pids) {
    const status = ofProcess(pid, 'status');
    const bytes = (field: string) => {
      const kib = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1];
      if (kib === undefined) throw new ProcessEnded(pid);
      return 1024 * Number(kib);
    };
    resident += bytes('VmRSS');
    own += bytes('RssAnon');
  }
  return { resident, own };
}

/** As the tables show it. */
export function memoryText({ resident, own }: Memory): string {
  const mib = (bytes: number) => (bytes / 2 ** 20).toFixed(0);
  return `${mib(resident)} (${mib(own)})`;
}

function ofProcess(pid: number, file: 'stat' | 'status'): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') throw new ProcessEnded(pid);
    throw error;
  }
}

/** A command kept on the named cores (`0`, `1-3`); as it is when there are none to choose. */
export function pinned(
  cores: string | undefined,
  command: string,
  args: readonly string[],
): [string, string[]] {
  return cores === undefined ? [command, [...args]] : ['taskset', ['-c', cores, command, ...args]];
}

/** A process that was started and says it is ready. */
export interface Started {
  readonly child: ChildProcess;
  readonly pid: number;
  /** The line that said so. */
  readonly said: string;
  stop(): Promise<void>;
}

export interface StartOptions {
  readonly cores: string | undefined;
  /** A line of standard output or standard error that means ready; without it, whether the port answers. */
  readonly ready?: (line: string) => boolean;
  readonly port?: number;
  readonly cwd?: string;
}

/**
 * Starts a process and waits, at most ten seconds, until it is ready.
 *
 * @throws {Error} with what the process said, when it ends instead
 */
export async function start(
  command: string,
  args: readonly string[],
  options: StartOptions,
): Promise<Started> {
  const [file, words] = pinned(options.cores, command, args);
  const child = spawn(file, words, {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(options.cwd && { cwd: options.cwd }),
  });
  endWithUs(child);
  let output = '';
  const exited = new Promise<void>((resolve) => {
    child.once('error', () => resolve());
    child.once('exit', () => resolve());
  });
  const said = await new Promise<string>((resolve, reject) => {
    const fail = (why: string) => reject(new Error(`${command} ${why}: ${output.trim().slice(-2000)}`));
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      fail('was not ready after 10 s');
    }, 10_000);
    const done = (line: string) => {
      clearTimeout(timer);
      resolve(line);
    };
    for (const stream of [child.stdout!, child.stderr!])
      createInterface({ input: stream }).on('line', (line) => {
        if (output.length < 100_000) output += `${line}\n`;
        if (options.ready?.(line)) done(line);
      });
    void exited.then(() => {
      clearTimeout(timer);
      fail('ended');
    });
    if (options.port !== undefined) void untilListening(options.port, child).then(() => done(''));
  });
  return {
    child,
    pid: child.pid as number,
    said,
    stop: async () => {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 3000);
      await exited;
      clearTimeout(timer);
    },
  };
}

const children = new Map<ChildProcess, 'SIGKILL' | 'SIGTERM'>();
const folders = new Set<string>();

/** Whatever ends the bench, its processes end with it and its folders go. */
process.on('exit', () => {
  for (const [child, signal] of children) child.kill(signal);
  // Whoever is being killed may still write.
  for (const folder of folders)
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 });
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130));

/** Has a process ended when this one ends: by SIGTERM one that has processes of its own. */
export function endWithUs<T extends ChildProcess>(child: T, signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): T {
  children.set(child, signal);
  child.once('exit', () => children.delete(child));
  return child;
}

/** A new folder in the system's place for temporary ones; it goes when the bench ends, or by `removeFolder`. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-bench-'));
  folders.add(folder);
  return folder;
}

export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 });
  folders.delete(folder);
}

async function untilListening(port: number, child: ChildProcess): Promise<void> {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')} 00000000:0000 0A`;
  while (child.exitCode === null && child.signalCode === null) {
    if (readFileSync('/proc/net/tcp', 'utf8').includes(wanted)) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Below the ports that Linux gives to outgoing connections by itself: those come and go. */
const lowestPort = 20_000;
const highestPort = 32_000;

/** A port of this machine that was free a moment ago. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = lowestPort + Math.floor(Math.random() * (highestPort - lowestPort));
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}
