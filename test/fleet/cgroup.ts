import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rmdir } from 'node:fs/promises';
import { join } from 'node:path';

const top = '/sys/fs/cgroup';

/**
 * Folders that make up a cgroup of that name: one in a unified hierarchy, one per controller that systemd needs
 * in a split one. Guests that share a cgroup stop each other's services, so each host gets one.
 */
export async function makeCgroup(name: string): Promise<string[]> {
  const folders = hierarchies().map((hierarchy) => join(hierarchy, name));
  for (const folder of folders) await mkdir(folder, { recursive: true });
  return folders;
}

function hierarchies(): string[] {
  if (existsSync(join(top, 'cgroup.controllers'))) return [top];
  const split = ['systemd', 'unified', 'memory', 'pids'].map((name) => join(top, name));
  return split.filter((folder) => existsSync(join(folder, 'cgroup.procs')));
}

/** Process ids in the cgroup and below it. */
export async function processesIn(folders: readonly string[]): Promise<number[]> {
  const found = await Promise.all(folders.map(async (folder) => [...(await walk(folder))]));
  const lists = await Promise.all(
    found.flat().map((folder) => readFile(join(folder, 'cgroup.procs'), 'utf8').catch(() => '')),
  );
  return [...new Set(lists.flatMap((text) => text.split('\n').filter(Boolean).map(Number)))];
}

/** Removes the folders, deepest first. @returns those that could not be removed */
export async function removeCgroup(folders: readonly string[]): Promise<string[]> {
  const left: string[] = [];
  for (const folder of folders) {
    for (const inner of (await walk(folder)).toReversed()) {
      await rmdir(inner).catch(() => {
        if (existsSync(inner)) left.push(inner);
      });
    }
  }
  return left;
}

async function walk(folder: string): Promise<string[]> {
  if (!existsSync(folder)) return [];
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const below = await Promise.all(
    entries.filter((entry) => entry.isDirectory()).map((entry) => walk(join(folder, entry.name))),
  );
  return [folder, ...below.flat()];
}
