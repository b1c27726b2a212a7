import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { repository } from './fleet.ts';
import { run } from './run-command.ts';

/** Countersign 0.1.0, as it was released. */
const commit = 'a8a765fdeb1fe6ff78bed2ccf01c5dfc6a817940';
const cache = '/var/cache/countersign-fleet';

/**
 * A checkout of version 0.1.0 with its executables built, made from this repository's history the first time.
 *
 * @returns its folder
 * @throws {Error} when the history is not there (a shallow clone), or the build fails
 */
export async function earlierVersion(say: (line: string) => void): Promise<string> {
  const folder = join(cache, `countersign-${commit.slice(0, 12)}`);
  if (existsSync(folder)) return folder;
  await run(['git', '-C', repository, 'cat-file', '-e', `${commit}^{commit}`]).catch((cause: unknown) => {
    throw new Error(
      `found no commit ${commit.slice(0, 12)} (version 0.1.0) in this clone, expected its whole history: git fetch --unshallow`,
      { cause },
    );
  });
  say('building version 0.1.0 from history (once, about a minute)');
  const half = `${folder}.${process.pid}`;
  await mkdir(half, { recursive: true });
  try {
    await run(['sh', '-c', `git -C '${repository}' archive ${commit} | tar -x -C '${half}'`]);
    await run(['npm', 'ci', '--no-audit', '--no-fund'], { cwd: half, limitMs: 600_000 });
    await run(['node_modules/.bin/node', 'sidecar/local/build.ts'], { cwd: half, limitMs: 600_000 });
    await rename(half, folder);
  } finally {
    await rm(half, { recursive: true, force: true });
  }
  return folder;
}
