import { readFileSync } from 'node:fs';
import { getAsset, isSea } from 'node:sea';

/** The text of a file of the project that the build packs into the executable (`assets` in tools/programs.ts). */
export function readAsset(path: string): string {
  return isSea() ? getAsset(path, 'utf8') : readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
}
