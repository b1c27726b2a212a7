import { readFileSync } from 'node:fs';
import { getAsset, isSea } from 'node:sea';
import { Worker, type WorkerOptions } from 'node:worker_threads';

/** Which build of the program this is. */
export interface Build {
  /** Of the project, as in package.json. */
  readonly version: string;
  /** SHA-256 of the bundle and of all that is packed beside it, hex; `source` when run from the sources. */
  readonly hash: string;
}

/**
 * A text file that belongs to the program: packed into the executable by the build, read from the sources
 * otherwise. Synchronous, so for start-up only.
 *
 * @param path from the top of the repository, such as `core/database/schema.sql`
 */
export function asset(path: string): string {
  return isSea() ? getAsset(path, 'utf8') : readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
}

/**
 * Starts a worker thread of the program. The module must be in the build's table (sidecar/local/programs.ts).
 *
 * @param module from the top of the repository, such as `core/database/worker.ts`
 */
export function startWorker(module: string, options: WorkerOptions = {}): Worker {
  if (!isSea()) return new Worker(new URL(`../${module}`, import.meta.url), options);
  return new Worker(getAsset(module.replace(/\.ts$/, '.js'), 'utf8'), { ...options, eval: true });
}

/** Which build this is; the same for every thread. */
export function thisBuild(): Build {
  if (isSea()) return JSON.parse(getAsset('build.json', 'utf8')) as Build;
  const { version } = JSON.parse(asset('package.json')) as { version: string };
  return { version, hash: 'source' };
}
