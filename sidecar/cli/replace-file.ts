import { randomBytes } from 'node:crypto';
import { open, realpath, rename, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/**
 * Puts a new text in the place of a file: synced and renamed, so that a reader sees the old one or the new one. Mode
 * and owner stay; a symbolic link is followed, not replaced.
 */
export async function replaceFile(file: string, text: string): Promise<void> {
  const target = await realpath(file);
  const { mode, uid, gid } = await stat(target);
  const draft = join(dirname(target), `.${randomBytes(8).toString('hex')}.draft`);
  const handle = await open(draft, 'wx', mode & 0o777);
  try {
    await handle.chmod(mode & 0o777);
    if (process.getuid?.() === 0) await handle.chown(uid, gid);
    await handle.writeFile(text);
    await handle.sync();
    await handle.close();
    await rename(draft, target);
  } catch (error) {
    await handle.close().catch(() => {});
    await unlink(draft).catch(() => {});
    throw error;
  }
}
