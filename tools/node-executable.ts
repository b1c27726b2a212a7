import { createHash, randomUUID } from 'node:crypto';
import { access, chmod, mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { stripElf } from './strip-elf.ts';

/** Node as it is packed into executables. */
export interface NodeExecutable {
  readonly file: string;
  /** SHA-256 of the file, hex. */
  readonly hash: string;
}

/**
 * A Node without what only debuggers read: 116 MB instead of 151. It is kept until the original changes.
 *
 * @param original `bin/node` of one of the packages `node-linux-*`
 * @param cache the folder to keep it in
 */
export async function strippedNode(original: string, cache: string): Promise<NodeExecutable> {
  const { size, mtimeMs } = await stat(original);
  const name = createHash('sha256').update(original).digest('hex').slice(0, 16);
  const file = join(cache, `node-${name}`);
  const stamp = `${file}.json`;
  const kept = await readStamp(file, stamp);
  if (kept !== undefined && kept.size === size && kept.mtimeMs === mtimeMs) return { file, hash: kept.hash };
  const stripped = stripElf(await readFile(original));
  const hash = createHash('sha256').update(stripped).digest('hex');
  await mkdir(dirname(file), { recursive: true });
  const draft = `${file}.${randomUUID()}`;
  await writeFile(draft, stripped);
  await chmod(draft, 0o755);
  await rename(draft, file);
  await writeFile(stamp, JSON.stringify({ size, mtimeMs, hash }));
  return { file, hash };
}

async function readStamp(
  file: string,
  stamp: string,
): Promise<{ size: number; mtimeMs: number; hash: string } | undefined> {
  try {
    await access(file);
    return JSON.parse(await readFile(stamp, 'utf8')) as { size: number; mtimeMs: number; hash: string };
  } catch {
    return undefined;
  }
}
