import { constants } from 'node:fs';
import { lstat, open } from 'node:fs/promises';
import { StateError } from './state-error.ts';

/**
 * The text of a file of the state directory; undefined when there is none. What is no regular file is never opened for
 * reading as one: a FIFO would make the reader wait for ever.
 *
 * @throws {StateError} when it is no regular file, or can't be read
 */
export async function readRegularFile(file: string): Promise<string | undefined> {
  let handle: Awaited<ReturnType<typeof open>>;
  try {
    handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    if (code === 'ELOOP' || code === 'ENXIO')
      throw notRegular(file, code === 'ELOOP' ? 'a link' : 'a socket');
    throw new StateError(`${file} can't be read`, { cause: error });
  }
  try {
    if (!(await handle.stat()).isFile()) throw notRegular(file, 'a folder, a FIFO or a device');
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}

/**
 * Asserts that each of these files, where it exists, is a regular file.
 *
 * @throws {StateError} names the first that is not
 */
export async function assertRegularFiles(files: readonly string[]): Promise<void> {
  for (const file of files) {
    const stats = await lstat(file).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw new StateError(`${file} can't be read`, { cause: error });
    });
    if (stats !== undefined && !stats.isFile()) throw notRegular(file, 'something else');
  }
}

function notRegular(file: string, found: string): StateError {
  return new StateError(
    `${file} is ${found}, expected a regular file or none; delete it, or name another state directory`,
  );
}
