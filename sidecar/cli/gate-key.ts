import { randomBytes } from 'node:crypto';
import { link, open, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { KeySourceError } from '../keyring/errors.ts';
import { readSecretFile } from '../keyring/secret-file.ts';

const keyBytes = 32;

/** Where the key of the go files lies unless told: on the control host only. */
export const defaultGateKey = 'countersign-gate.key';

/**
 * The key of the go files; made when there is none.
 *
 * @throws {KeySourceError} when others can read the file, or it holds no key
 */
export async function openGateKey(file: string): Promise<Uint8Array> {
  if ((await stat(file).catch(() => undefined)) === undefined) await create(file);
  return readGateKey(file);
}

/** @throws {KeySourceError} also when there is no such file */
export async function readGateKey(file: string): Promise<Uint8Array> {
  const key = Buffer.from((await readSecretFile(file)).trim(), 'base64');
  if (key.length !== keyBytes)
    throw new KeySourceError('keyring-malformed', file, `found no key, expected ${keyBytes} bytes in base64`);
  return key;
}

/** Private from its first byte, and never in place of one that somebody else has just made. */
async function create(file: string): Promise<void> {
  const draft = join(dirname(file), `.${randomBytes(8).toString('hex')}.draft`);
  const handle = await open(draft, 'wx', 0o600);
  try {
    await handle.writeFile(`${randomBytes(keyBytes).toString('base64')}\n`);
    await handle.sync();
    await link(draft, file).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  } finally {
    await handle.close();
    await unlink(draft);
  }
}
