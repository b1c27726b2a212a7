import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** The first thing that looks like a version in what a program says of itself. */
export function versionOf(command: string, ...args: readonly string[]): string {
  const { stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  return /\d+(?:\.\d+)+[^\s,]*/.exec(`${stdout}${stderr}`)?.[0] ?? 'unknown';
}

/** The version of an npm package, by its package.json. */
export function packageVersion(name: string): string {
  const file = new URL(`../../node_modules/${name}/package.json`, import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
