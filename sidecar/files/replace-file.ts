import { randomBytes } from 'node:crypto';
import { type FileHandle, link, open, realpath, rename, rm, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** What a file is to hold: a text, bytes, or pieces of both that are written as they come. */
export type FileContent =
  | string
  | Uint8Array
  | Iterable<string | Uint8Array>
  | AsyncIterable<string | Uint8Array>;

export interface ReplaceOptions {
  /** Permission bits of the new file; 0600 unless told. */
  readonly mode?: number;
  /**
   * `random` (the default) suits files that several processes may replace at once. `fixed`, `.NAME.draft`, is for files
   * that one process writes often: a kill leaves one draft at most, and the next write takes its place.
   */
  readonly draft?: 'random' | 'fixed';
}

/**
 * Replaces a file as a whole: a reader sees the old content or the new one. When this resolves, the new content survives
 * a crash of the machine; until then, the old one does.
 */
export async function replaceFile(
  file: string,
  content: FileContent,
  options: ReplaceOptions = {},
): Promise<void> {
  await withDraft(file, content, options, undefined, (draft) => rename(draft, file));
}

/**
 * As `replaceFile`, for a file that a person edits too: its mode and owner stay, and a symbolic link is followed, not
 * replaced.
 */
export async function rewriteFile(file: string, content: FileContent): Promise<void> {
  const target = await realpath(file);
  const { mode, uid, gid } = await stat(target);
  const own = async (handle: FileHandle) => {
    if (process.getuid?.() === 0) await handle.chown(uid, gid);
  };
  await withDraft(target, content, { mode: mode & 0o777 }, own, (draft) => rename(draft, target));
}

/** As `replaceFile`, but never in place of a file that is there. @returns false when there is one */
export async function createFile(file: string, content: FileContent): Promise<boolean> {
  let created = true;
  await withDraft(file, content, {}, undefined, async (draft) => {
    await link(draft, file).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
      created = false;
    });
    await unlink(draft);
  });
  return created;
}

/** Deletes a file for good: when this resolves, it does not come back after a crash. */
export async function deleteFile(file: string): Promise<void> {
  await unlink(file);
  await syncFolder(dirname(file));
}

async function withDraft(
  file: string,
  content: FileContent,
  { mode = 0o600, draft: naming = 'random' }: ReplaceOptions,
  prepare: ((handle: FileHandle) => Promise<void>) | undefined,
  place: (draft: string) => Promise<void>,
): Promise<void> {
  const folder = dirname(file);
  const name = naming === 'fixed' ? basename(file) : randomBytes(8).toString('hex');
  const draft = join(folder, `.${name}.draft`);
  if (naming === 'fixed') await rm(draft, { force: true });
  try {
    await using handle = await open(draft, 'wx', mode);
    // The umask takes bits away from what open is given.
    await handle.chmod(mode);
    await prepare?.(handle);
    for await (const piece of pieces(content)) await handle.writeFile(piece);
    await handle.sync();
    await place(draft);
  } catch (error) {
    await rm(draft, { force: true }).catch(() => {});
    throw error;
  }
  await syncFolder(folder);
}

function pieces(content: FileContent): Iterable<string | Uint8Array> | AsyncIterable<string | Uint8Array> {
  return typeof content === 'string' || content instanceof Uint8Array ? [content] : content;
}

/** Makes what was created, renamed or deleted in a folder survive a crash of the machine. */
async function syncFolder(folder: string): Promise<void> {
  await using handle = await open(folder, 'r');
  await handle.sync();
}
