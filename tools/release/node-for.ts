import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { root } from '../build.ts';

const run = promisify(execFile);

/** Debian's name of an architecture → Node's. */
export const architectures = { amd64: 'x64', arm64: 'arm64' } as const;
export type Architecture = keyof typeof architectures;

interface Locked {
  readonly version: string;
  readonly integrity: string;
}

/**
 * `bin/node` for an architecture: this machine's own, or that of the other package of package-lock.json, which npm fetches
 * and the lock's hash proves.
 *
 * @throws {Error} when the package cannot be fetched, or is another one
 */
export async function nodeFor(architecture: Architecture): Promise<string> {
  const name = `node-linux-${architectures[architecture]}`;
  const installed = join(root, 'node_modules', name, 'bin/node');
  if (await isThere(installed)) return installed;
  const { packages } = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, Locked>;
  };
  const { version, integrity } = packages[`node_modules/${name}`] as Locked;
  const folder = join(root, 'node_modules/.cache/countersign', `${name}-${version}`);
  const node = join(folder, 'package/bin/node');
  if (await isThere(node)) return node;
  await mkdir(join(folder, '..'), { recursive: true });
  const draft = await mkdtemp(`${folder}.`);
  try {
    const words = ['pack', `${name}@${version}`, '--ignore-scripts', '--json', '--pack-destination', draft];
    const { stdout } = await run('npm', words, { cwd: draft, maxBuffer: 64 * 1024 * 1024 });
    const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
    const archive = join(draft, filename);
    const found = `sha512-${createHash('sha512')
      .update(await readFile(archive))
      .digest('base64')}`;
    if (found !== integrity)
      throw new Error(`${name}@${version}: found ${found}, expected ${integrity} of package-lock.json`);
    await run('tar', ['-xzf', archive, '-C', draft, 'package/bin/node']);
    await rm(archive);
    await rm(folder, { recursive: true, force: true });
    await rename(draft, folder);
    return node;
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
