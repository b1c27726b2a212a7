import { randomBytes } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { KeySourceError } from '../keyring/errors.ts';
import { createSecretFile, readSecretFile } from '../keyring/secret-file.ts';

const keyBytes = 32;

/** Where the key of the gate files lies unless told: on the control host only. */
export const defaultGateKey = 'countersign-gate.key';

/**
 * The key of the gate files; made when there is none.
 *
 * @throws {KeySourceError} when others can read the file, or it holds no key
 */
export async function openGateKey(file: string): Promise<Uint8Array> {
  if ((await stat(file).catch(() => undefined)) === undefined)
    await createSecretFile(file, `${randomBytes(keyBytes).toString('base64')}\n`);
  return readGateKey(file);
}

/** @throws {KeySourceError} also when there is no such file */
export async function readGateKey(file: string): Promise<Uint8Array> {
  const key = Buffer.from((await readSecretFile(file)).trim(), 'base64');
  if (key.length !== keyBytes)
    throw new KeySourceError('keyring-malformed', file, `found no key, expected ${keyBytes} bytes in base64`);
  return key;
}
