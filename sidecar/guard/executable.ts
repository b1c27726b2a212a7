import { stat } from 'node:fs/promises';
import { isAbsolute } from 'node:path';

/** The program that this process runs, and the path by which it was started, a symbolic link to the current version. */
export interface Executable {
  readonly startedAs: string;
  readonly running: string;
}

/** @returns undefined when the process was not started by an absolute path, as a unit does it */
export function ownExecutable(): Executable | undefined {
  return isAbsolute(process.argv0) ? { startedAs: process.argv0, running: '/proc/self/exe' } : undefined;
}

/** Whether another program stands by now where this one was started from. A path that is gone for a moment is no sign. */
export async function wasReplaced(executable: Executable | undefined): Promise<boolean> {
  if (executable === undefined) return false;
  const [current, running] = await Promise.all(
    [executable.startedAs, executable.running].map((path) => stat(path).catch(() => undefined)),
  );
  if (current === undefined || running === undefined) return false;
  return current.dev !== running.dev || current.ino !== running.ino;
}
