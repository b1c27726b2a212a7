import { createHash, randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, realpath, rm } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { CoreError } from '../errors.ts';
import { contentFolder, contentPath, incomingFolder } from './content-path.ts';

/** A content that is complete and on the disk, but not part of the store yet. */
export interface Staged {
  readonly path: string;
  readonly size: number;
  /** SHA-256, lower-case hex. */
  readonly hash: string;
}

/**
 * The folder with the contents of all files, each once, by its SHA-256. What is in it is written here; what becomes part of it or leaves it
 * is decided by the database's writes. For one process at a time.
 */
export class ContentStore {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** Makes the folders where they are missing, and removes what uploads that a crash cut off left behind. */
  static async open(folder: string): Promise<ContentStore> {
    await mkdir(join(folder, contentFolder), { recursive: true, mode: 0o700 });
    const incoming = join(folder, incomingFolder);
    await mkdir(incoming, { recursive: true, mode: 0o700 });
    for (const name of await readdir(incoming)) {
      if (!belongsToLivingProcess(name)) await rm(join(incoming, name), { force: true });
    }
    return new ContentStore(await realpath(folder));
  }

  /**
   * Writes a content to the disk as it comes, and syncs it.
   *
   * @throws {CoreError} storage_full
   */
  async stage(chunks: AsyncIterable<Buffer>): Promise<Staged> {
    const path = join(this.folder, incomingFolder, `${process.pid}.${randomUUID()}`);
    const hash = createHash('sha256');
    let size = 0;
    try {
      const handle = await open(path, 'wx', 0o600);
      try {
        for await (const chunk of chunks) {
          hash.update(chunk);
          size += chunk.length;
          await writeAll(handle, chunk);
        }
        await handle.sync();
      } finally {
        await handle.close();
      }
    } catch (error) {
      await this.discard({ path });
      throw isNoSpace(error)
        ? new CoreError(
            'storage_full',
            'there is no space left for this file; delete others or ask the operator',
            {
              cause: error,
            },
          )
        : error;
    }
    return { path, size, hash: hash.digest('hex') };
  }

  async discard({ path }: Pick<Staged, 'path'>): Promise<void> {
    await rm(path, { force: true });
  }

  /** Opens a content; undefined when it is not there. */
  async openContent(hash: string): Promise<FileHandle | undefined> {
    const path = contentPath(hash);
    return path === undefined ? undefined : openIfThere(join(this.folder, path));
  }

  /** Opens a regular file in the store's folder by a path that AutoBot wrote down; undefined when that leads elsewhere. */
  async openInside(path: string): Promise<FileHandle | undefined> {
    const real = await realpath(path).catch(() => undefined);
    if (real === undefined || !real.startsWith(this.folder + sep)) return undefined;
    const handle = await openIfThere(real);
    if (handle === undefined || (await handle.stat()).isFile()) return handle;
    await handle.close();
    return undefined;
  }

  /** All contents, one folder of hashes at a time. */
  async *hashes(): AsyncGenerator<string[]> {
    const root = join(this.folder, contentFolder);
    for (const prefix of await readdir(root)) {
      const names = await readdir(join(root, prefix)).catch(() => []);
      yield names.filter((name) => name.startsWith(prefix) && contentPath(name) !== undefined);
    }
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ENAMETOOLONG'].includes((error as NodeJS.ErrnoException).code ?? ''))
      return undefined;
    throw error;
  }
}

async function writeAll(handle: FileHandle, chunk: Buffer): Promise<void> {
  for (let offset = 0; offset < chunk.length; ) {
    offset += (await handle.write(chunk, offset)).bytesWritten;
  }
}

function isNoSpace(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT', 'EFBIG'].includes((error as NodeJS.ErrnoException | undefined)?.code ?? '');
}

function belongsToLivingProcess(name: string): boolean {
  const pid = Number(name.split('.', 1)[0]);
  if (!Number.isSafeInteger(pid) || pid <= 0 || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
