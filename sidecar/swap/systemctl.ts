import { execFile } from 'node:child_process';
import { SwapError } from './swap-error.ts';

const timeoutMs = 60_000;

export interface UnitProperties {
  readonly id: string;
  /** systemd's ActiveState. */
  readonly active: string;
  /** 0 when there is no process. */
  readonly mainPid: number;
}

/** Properties of units, named or matched by patterns; a unit that two of them match comes once. */
export async function showUnits(systemctl: string, names: readonly string[]): Promise<UnitProperties[]> {
  const text = await run(systemctl, ['show', '--property=Id,ActiveState,MainPID', '--', ...names]);
  const units = text.split(/\n\s*\n/).flatMap((block): UnitProperties[] => {
    const of = (key: string) => new RegExp(`^${key}=(.*)$`, 'm').exec(block)?.[1] ?? '';
    return of('Id') === ''
      ? []
      : [{ id: of('Id'), active: of('ActiveState'), mainPid: Number(of('MainPID')) }];
  });
  return [...new Map(units.map((unit) => [unit.id, unit])).values()];
}

/**
 * Runs systemctl, or another fixed command, without a shell.
 *
 * @throws {SwapError} with what the command said
 */
export function run(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(command, args, { timeout: timeoutMs, killSignal: 'SIGKILL' }, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const said = stderr.trim() || stdout.trim() || error.message;
      reject(new SwapError(`${[command, ...args].join(' ')} failed: ${said}`, { cause: error }));
    });
  });
}
