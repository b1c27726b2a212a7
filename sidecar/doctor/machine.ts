import { execFile } from 'node:child_process';
import { readdir, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { loadGuardConfig } from '../guard/guard-config.ts';
import { StateFile } from '../guard/state-file.ts';
import type { Layout } from '../swap/layout.ts';
import type { DiskFact, FileMode, GuardFact, HostFacts } from './host-facts.ts';

/** The permissions of a file or folder. */
export async function modeOf(path: string, kind: FileMode['kind']): Promise<FileMode> {
  const found = await stat(path).catch(() => undefined);
  return { path, kind, mode: found === undefined ? undefined : found.mode & 0o7777 };
}

/** Whether the kernel's clock is disciplined by anything, be it chrony or systemd-timesyncd. */
export function clockOf(): Promise<HostFacts['clock']> {
  const words = ['show', '--property=NTPSynchronized', '--value'];
  return new Promise((resolve) => {
    execFile('timedatectl', words, { timeout: 3_000, killSignal: 'SIGKILL' }, (error, stdout) => {
      const said = error === null ? stdout.trim() : '';
      resolve(({ yes: 'synchronized', no: 'unsynchronized' } as const)[said as 'yes' | 'no']);
    });
  });
}

/** Room where a folder is; the folder above it when it is not there yet. */
export async function diskOf(path: string): Promise<DiskFact[]> {
  const found = await statfs(path).catch(() => statfs(join(path, '..')).catch(() => undefined));
  if (found === undefined) return [];
  const { bavail, blocks, bsize, ffree, files } = found;
  return [
    { path, freeBytes: bavail * bsize, totalBytes: blocks * bsize, freeFiles: ffree, totalFiles: files },
  ];
}

/** What the guard remembers; undefined when none was ever installed here. */
export async function guardOf({ guard }: Layout): Promise<GuardFact | undefined> {
  const files = await readdir(guard).catch((): string[] => []);
  const newest = files
    .filter((file) => file.endsWith('.yaml'))
    .sort()
    .at(-1);
  if (newest === undefined) return undefined;
  const config = await loadGuardConfig(join(guard, newest)).catch(() => undefined);
  const state = config === undefined ? undefined : await new StateFile(config.state).read();
  return { swappedAtMs: state?.swap?.sinceMs, lastRollback: state?.lastRollback, bakeMs: config?.bake };
}
