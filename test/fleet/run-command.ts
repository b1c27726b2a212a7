import { spawn } from 'node:child_process';

export interface Finished {
  /** Exit status; 128 + n after signal n, 124 after the time limit. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: string;
  /** Milliseconds after which the command is killed; default five minutes. */
  readonly limitMs?: number;
  /** Called with every line of stdout as it comes. */
  readonly onLine?: (line: string) => void;
}

/** Runs a command to its end, whatever its exit status. @throws {Error} when it cannot be started */
export function attempt(command: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const [file, ...args] = command as [string, ...string[]];
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd: options.cwd, env: options.env ?? process.env });
    let stdout = '';
    let stderr = '';
    let open = '';
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, options.limitMs ?? 300_000);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      if (options.onLine === undefined) return;
      const lines = (open + text).split('\n');
      open = lines.pop() as string;
      lines.forEach(options.onLine);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.stdin.on('error', () => {}); // A command that does not read its input is no failure of ours.
    child.stdin.end(options.input ?? '');
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ status: late ? 124 : (code ?? (signal === null ? 1 : 137)), stdout, stderr });
    });
  });
}

/** Runs a command that must succeed. @throws {Error} with the command and the end of its output */
export async function run(command: readonly string[], options: RunOptions = {}): Promise<string> {
  const { status, stdout, stderr } = await attempt(command, options);
  if (status === 0) return stdout;
  const tail = `${stdout}\n${stderr}`.trim().split('\n').slice(-25).join('\n');
  throw new Error(`${command.join(' ').slice(0, 300)} ended with ${status}:\n${tail}`);
}
