import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { readMetricsToken } from '../../../sidecar/console/metrics-token.ts';
import { tempFolder } from '../../support/temp-folder.ts';

t.test('makes the token once, and refuses one that others may read', async (t) => {
  const file = join(await tempFolder(t), 'token');
  const token = await readMetricsToken(file);
  t.match(token, /^[\w-]{43}$/);
  t.equal((await stat(file)).mode & 0o777, 0o600);
  t.equal((await readFile(file, 'utf8')).trim(), token);
  await chmod(file, 0o640);
  t.equal(await readMetricsToken(file), token, 'its group may read it');
  for (const mode of [0o644, 0o604, 0o660]) {
    await chmod(file, mode);
    await t.rejects(readMetricsToken(file), /expected 0640 at most/);
  }
  await chmod(file, 0o600);
  for (const text of ['', 'short', 'with spaces in it, and long enough for a token']) {
    await writeFile(file, text);
    await t.rejects(readMetricsToken(file), /found no token, expected at least 32 characters/);
  }
});
