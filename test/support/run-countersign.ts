import { spawn } from 'node:child_process';
import { type Built, build } from '../../tools/build.ts';

let program: Promise<string> | undefined;

/** The built command line; built first unless it is up to date. */
async function builtProgram(): Promise<string> {
  const [built] = await build(['countersign']);
  return (built as Built).file;
}

export interface Ran {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command line as an operator would: the executable, a process of its own. */
export async function runCountersign(
  args: readonly string[],
  options: {
    input?: string;
    cwd?: string;
    env?: NodeJS.ProcessEnv;
    /** Hears of the process as soon as it is there. */
    onStart?: (process: { pid: number; kill: (signal: NodeJS.Signals) => void }) => void;
  } = {},
): Promise<Ran> {
  program ??= builtProgram();
  const file = await program;
  return new Promise((resolve, reject) => {
    const child = spawn(file, [...args], {
      cwd: options.cwd,
      env: options.env ?? { PATH: process.env.PATH },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    options.onStart?.({ pid: child.pid as number, kill: (signal) => child.kill(signal) });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.on('error', reject);
    child.stdin.on('error', () => {});
    child.stdin.end(options.input ?? '');
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}
