import type { Stats } from 'node:fs';
import { type FileHandle, lstat, open } from 'node:fs/promises';
import { createFile, replaceFile } from '../files/replace-file.ts';
import { KeySourceError } from './errors.ts';

const largestFileBytes = 64 * 1024 * 1024;

/**
 * Reads a file with secrets, if nobody but its owner may. Mode and content are of the same open file, so a
 * replacement in between cannot slip past.
 *
 * @throws {KeySourceError} keyring-unreadable, keyring-not-private
 */
export async function readSecretFile(file: string): Promise<string> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(file, 'r');
    const stat = await handle.stat();
    if (!stat.isFile())
      throw new KeySourceError('keyring-unreadable', file, 'found no regular file, expected one');
    if ((stat.mode & 0o077) !== 0) {
      const mode = (stat.mode & 0o777).toString(8).padStart(4, '0');
      throw new KeySourceError(
        'keyring-not-private',
        file,
        `found mode ${mode}, expected 0600: group or others may use this file; run chmod 600 on it, and rotate if they could have read it`,
      );
    }
    if (stat.size > largestFileBytes)
      throw new KeySourceError(
        'keyring-unreadable',
        file,
        `found ${stat.size} bytes, expected at most 64 MiB`,
      );
    return await handle.readFile('utf8');
  } catch (error) {
    if (error instanceof KeySourceError) throw error;
    const { code = 'an error' } = error as NodeJS.ErrnoException;
    const found = code === 'ENOENT' ? 'no such file' : code;
    throw new KeySourceError('keyring-unreadable', file, `found ${found}, expected a readable file`);
  } finally {
    await handle?.close();
  }
}

/**
 * Writes a file with secrets: mode 0600 from its first byte, synced, and put in place by a rename, so that a
 * reader sees the old file or the new one and a crash leaves one of them. Nothing but a file is replaced: a rename
 * over /dev/stdout would put the secret in the place of the device.
 *
 * @throws {KeySourceError} not-writable
 */
export async function writeSecretFile(file: string, text: string): Promise<void> {
  const there = await lstat(file).catch(() => undefined);
  if (there !== undefined && !there.isFile())
    throw new KeySourceError('not-writable', file, `found ${kindOf(there)}, expected a file or nothing`);
  await writable(file, replaceFile(file, text));
}

/**
 * As `writeSecretFile`, but never in place of a file that is there, or that somebody else has just made.
 *
 * @throws {KeySourceError} not-writable
 */
export async function createSecretFile(file: string, text: string): Promise<void> {
  await writable(file, createFile(file, text));
}

async function writable<T>(file: string, write: Promise<T>): Promise<T> {
  try {
    return await write;
  } catch (error) {
    const found = (error as NodeJS.ErrnoException).code ?? 'an error';
    throw new KeySourceError('not-writable', file, `found ${found}, expected a file that can be written`);
  }
}

function kindOf(there: Stats): string {
  if (there.isDirectory()) return 'a folder';
  return there.isSymbolicLink() ? 'a symbolic link' : 'a device, pipe or socket';
}
