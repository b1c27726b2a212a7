import { createHash, randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';
import { CoreError } from '../terms/errors.ts';
import type { StagedContent } from '../terms/file.ts';
import {
  type ContentRange,
  type ContentStore,
  type LegacyContent,
  type OpenContent,
  uploadLifetimeMs,
} from './content-store.ts';

const chunkBytes = 256 * 1024;
/** Folder in which uploads are written until they are complete. */
const incomingFolder = 'incoming';
/** Folder of the complete ones: `sha256/ab/ab….UUID`; without the UUID from releases before. */
const contentFolder = 'sha256';
const placeForm = /^sha256\/([0-9a-f]{2})\/\1[0-9a-f]{62}(\.[0-9a-f-]{36})?$/;

/** Contents in a folder, which several machines may share. Nothing that a user names is ever part of a path. */
export class FolderStore implements ContentStore {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** Makes the folders where they are missing. */
  static async open(folder: string): Promise<FolderStore> {
    await mkdir(join(folder, contentFolder), { recursive: true, mode: 0o700 });
    await mkdir(join(folder, incomingFolder), { recursive: true, mode: 0o700 });
    return new FolderStore(await realpath(folder));
  }

  async stage(chunks: AsyncIterable<Buffer>): Promise<StagedContent> {
    const id = randomUUID();
    const incoming = join(this.folder, incomingFolder, id);
    try {
      const { size, sha256 } = await writeSynced(incoming, chunks);
      const place = `${contentFolder}/${sha256.slice(0, 2)}/${sha256}.${id}`;
      const folder = dirname(join(this.folder, place));
      const made = await mkdir(folder, { recursive: true, mode: 0o700 });
      if (made !== undefined) await syncFolder(dirname(folder));
      await rename(incoming, join(this.folder, place));
      await syncFolder(folder);
      return { place, size, sha256 };
    } catch (error) {
      await rm(incoming, { force: true });
      throw isNoSpace(error) ? full(error) : error;
    }
  }

  async open(place: string): Promise<OpenContent | undefined> {
    return placeForm.test(place) ? openFile(join(this.folder, place)) : undefined;
  }

  async openLegacy({ sessionId, path, storedName }: LegacyContent): Promise<OpenContent | undefined> {
    const { folder } = this;
    const places = [path, join(folder, sessionId, storedName), join(folder, storedName)];
    places.push(join(folder, basename(path)));
    for (const candidate of places) {
      const real = await realpath(candidate).catch(() => undefined);
      if (real === undefined || !real.startsWith(folder + sep)) continue;
      const content = await openFile(real);
      if (content !== undefined) return content;
    }
    return undefined;
  }

  async remove(place: string): Promise<void> {
    if (placeForm.test(place)) await rm(join(this.folder, place), { force: true });
  }

  async *oldPlaces(): AsyncGenerator<string[]> {
    await this.#removeOldUploads();
    for (const prefix of await readdir(join(this.folder, contentFolder))) {
      const names = await readdir(join(this.folder, contentFolder, prefix)).catch(() => []);
      const places = names
        .map((name) => `${contentFolder}/${prefix}/${name}`)
        .filter((place) => placeForm.test(place));
      const old = await Promise.all(places.map((place) => isOld(join(this.folder, place))));
      yield places.filter((_, index) => old[index]);
    }
  }

  /** What a crash has cut off. */
  async #removeOldUploads(): Promise<void> {
    const incoming = join(this.folder, incomingFolder);
    for (const name of await readdir(incoming)) {
      const path = join(incoming, name);
      if (await isOld(path)) await rm(path, { force: true });
    }
  }
}

async function writeSynced(
  path: string,
  chunks: AsyncIterable<Buffer>,
): Promise<{ size: number; sha256: string }> {
  const hash = createHash('sha256');
  let size = 0;
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
  return { size, sha256: hash.digest('hex') };
}

async function writeAll(handle: FileHandle, chunk: Buffer): Promise<void> {
  for (let offset = 0; offset < chunk.length; ) {
    offset += (await handle.write(chunk, offset)).bytesWritten;
  }
}

async function openFile(path: string): Promise<OpenContent | undefined> {
  const handle = await openIfThere(path);
  if (handle === undefined) return undefined;
  const found = await handle.stat({ bigint: true });
  if (!found.isFile()) {
    await handle.close();
    return undefined;
  }
  return {
    size: Number(found.size),
    identity: [found.dev, found.ino, found.size, found.mtimeNs, found.ctimeNs].join(':'),
    read: ({ start, end }: ContentRange) =>
      handle.createReadStream({ start, end, highWaterMark: chunkBytes, autoClose: false }),
    close: () => handle.close(),
  };
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (['ENOENT', 'ENOTDIR', 'ENAMETOOLONG'].includes(code)) return undefined;
    throw error;
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function isOld(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found !== undefined && Date.now() - found.mtimeMs > uploadLifetimeMs;
}

function isNoSpace(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT', 'EFBIG'].includes((error as NodeJS.ErrnoException | undefined)?.code ?? '');
}

function full(cause: unknown): CoreError {
  return new CoreError(
    'storage_full',
    'there is no space left for this file; delete others or ask the operator',
    { cause },
  );
}
