import { execFile } from 'node:child_process';

const timeoutMs = 200_000;

export interface Ran {
  readonly ok: boolean;
  readonly stdout: string;
  /** Why not, in one line. */
  readonly fault: string;
}

/** Runs one fixed command, without a shell. */
export function run(argv: readonly string[]): Promise<Ran> {
  const [file, ...args] = argv as [string, ...string[]];
  return new Promise((resolve) => {
    execFile(file, args, { timeout: timeoutMs, killSignal: 'SIGKILL' }, (error, stdout, stderr) => {
      const said = stderr.trim().split('\n').at(-1) ?? '';
      const fault =
        error === null ? '' : `${argv.join(' ')}: ${error.code ?? error.signal ?? ''} ${said}`.trim();
      resolve({ ok: error === null, stdout: stdout.trim(), fault });
    });
  });
}

/** Runs commands in order, all of them even if one fails: half a swap is no better for stopping there. */
export async function runAll(commands: readonly (readonly string[])[]): Promise<string[]> {
  const faults: string[] = [];
  for (const argv of commands) {
    const { ok, fault } = await run(argv);
    if (!ok) faults.push(fault);
  }
  return faults;
}
