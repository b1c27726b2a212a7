import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { createSecretFile } from '../keyring/secret-file.ts';
import { AnsweredNo } from '../terms/exit-codes.ts';

const shortest = 32;

/**
 * The token that Prometheus sends (`authorization.credentials_file`), from a file that its group may read; the file is made, for
 * its owner alone, when it is missing.
 *
 * @throws {AnsweredNo} when others may read it, or it holds less than 32 characters
 */
export async function readMetricsToken(file: string): Promise<string> {
  const handle = await open(file, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw new AnsweredNo(`${file}: found ${error.code}, expected a readable file with a token`);
  });
  if (handle === undefined) {
    const token = randomBytes(32).toString('base64url');
    await createSecretFile(file, `${token}\n`);
    return token;
  }
  try {
    const { mode } = await handle.stat();
    if ((mode & 0o027) !== 0)
      throw new AnsweredNo(
        `${file}: found mode ${(mode & 0o777).toString(8).padStart(4, '0')}, expected 0640 at most: run chmod 640 on it, and chgrp prometheus`,
      );
    const token = (await handle.readFile('utf8')).trim();
    if (token.length >= shortest && /^[\w.~+/=-]+$/.test(token)) return token;
    throw new AnsweredNo(
      `${file}: found no token, expected at least ${shortest} characters of a bearer token (RFC 6750): remove the file, and it is made`,
    );
  } finally {
    await handle.close();
  }
}
