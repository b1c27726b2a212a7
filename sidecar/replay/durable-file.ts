import { open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Makes what was created, renamed or deleted in a directory survive a crash of the machine. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Replaces a file as a whole: when this resolves, the new content survives a crash; until then, the old one does. */
export async function replaceDurably(
  file: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  const temporary = `${file}.new`;
  const handle = await open(temporary, 'w', 0o600);
  try {
    for await (const chunk of chunks) await handle.writeFile(chunk);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
  await syncDirectory(dirname(file));
}

/** Deletes a file for good: when this resolves, it does not come back after a crash. */
export async function deleteDurably(file: string): Promise<void> {
  await unlink(file);
  await syncDirectory(dirname(file));
}
