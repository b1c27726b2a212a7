import { getAsset, isSea } from 'node:sea';
import { Worker, type WorkerOptions } from 'node:worker_threads';
import project from '../package.json' with { type: 'json' };

/** Which build of the program this is. */
export interface Build {
  /** Of the project, as in package.json. */
  readonly version: string;
  /** SHA-256 of the bundle and of all that is packed beside it, hex; `source` when run from the sources. */
  readonly hash: string;
}

/** Which build this is; the same for every thread. */
export function thisBuild(): Build {
  return isSea()
    ? (JSON.parse(getAsset('build.json', 'utf8')) as Build)
    : { version: project.version, hash: 'source' };
}

/**
 * Starts a worker thread. From source its entrypoint is the `.ts` file; inside a single executable it is the asset
 * `<module>.js`, one CommonJS bundle, run with `eval` since there is no file to point at.
 *
 * @param module from the top of the repository, without its extension, such as `core/database/sqlite/worker`; the build's
 *   table (tools/programs.ts) names it
 */
export function startWorker(module: string, options: WorkerOptions): Worker {
  return isSea()
    ? new Worker(getAsset(`${module}.js`, 'utf8'), { ...options, eval: true, name: module })
    : new Worker(new URL(`../${module}.ts`, import.meta.url), { ...options, name: module });
}
