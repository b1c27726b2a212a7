import { spawn } from 'node:child_process';

/**
 * Runs an operator's command through the shell with further arguments, in a process group of its own so that all
 * of it ends when it takes too long. What it says on stderr is shown as it comes.
 *
 * @param stdout `show`: on our stderr too; `keep`: returned
 * @returns exit status, null when it was ended
 */
export function runShellCommand(
  command: string,
  args: readonly string[],
  options: { stdout: 'show' | 'keep'; timeoutMs: number; signal: AbortSignal },
): Promise<{ code: number | null; stdout: string }> {
  return new Promise((resolve, reject) => {
    options.signal.throwIfAborted();
    const child = spawn('/bin/sh', ['-c', `${command} "$@"`, 'countersign', ...args], {
      detached: true,
      stdio: ['ignore', options.stdout === 'keep' ? 'pipe' : 2, 2],
    });
    const end = () => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It has ended by itself.
      }
    };
    const timer = setTimeout(end, options.timeoutMs);
    options.signal.addEventListener('abort', end);
    let stdout = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      if (stdout.length < 16 * 1024 * 1024) stdout += text;
    });
    const settle = () => {
      clearTimeout(timer);
      options.signal.removeEventListener('abort', end);
    };
    child.on('error', (error) => {
      settle();
      reject(error);
    });
    child.on('close', (code) => {
      settle();
      resolve({ code, stdout });
    });
  });
}
