import { execFileSync } from 'node:child_process';
import {
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { createSecretFile, readSecretFile, writeSecretFile } from '../../../sidecar/keyring/secret-file.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const secret = 'c2VjcmV0LXNlY3JldC1zZWNyZXQ=';

t.test('a secret is private from the first, and replaces a file whatever its mode was', async (t) => {
  const folder = await tempFolder(t);
  const file = join(folder, 'key');
  await writeFile(file, 'old', { mode: 0o644 });
  await writeSecretFile(file, secret);
  t.equal(await readFile(file, 'utf8'), secret);
  t.equal((await stat(file)).mode & 0o777, 0o600);
  t.strictSame(await readdir(folder), ['key']);
});

t.test('a link, a device, a pipe or a folder is never replaced by a secret', async (t) => {
  const folder = await tempFolder(t);
  const at = (name: string) => join(folder, name);
  await symlink('/proc/self/fd/1', at('stdout'));
  execFileSync('mkfifo', [at('pipe')]);
  await mkdir(at('folder'));
  for (const [name, found] of [
    ['stdout', /found a symbolic link/],
    ['pipe', /found a device, pipe or socket/],
    ['folder', /found a folder/],
  ] as const)
    await t.rejects(writeSecretFile(at(name), secret), { code: 'not-writable', message: found });
  t.equal(await readlink(at('stdout')), '/proc/self/fd/1');
  t.ok((await lstat(at('pipe'))).isFIFO());
  t.strictSame((await readdir(folder)).sort(), ['folder', 'pipe', 'stdout'], 'and no draft is left');
});

t.test('a folder that is not there is told without the secret', async (t) => {
  const file = join(await tempFolder(t), 'none', 'key');
  for (const write of [writeSecretFile, createSecretFile]) {
    const error = await write(file, secret).then(
      () => undefined,
      (each: unknown) => each,
    );
    t.match(error, { code: 'not-writable', message: `${file}: found ENOENT, expected a file` });
    t.notOk(JSON.stringify(error, Object.getOwnPropertyNames(error)).includes(secret));
  }
});

t.test('creating leaves what is there', async (t) => {
  const folder = await tempFolder(t);
  const file = join(folder, 'key');
  await Promise.all([createSecretFile(file, 'a'), createSecretFile(file, 'a')]);
  await createSecretFile(file, 'b');
  t.equal(await readFile(file, 'utf8'), 'a');
  t.equal((await stat(file)).mode & 0o777, 0o600);
  t.strictSame(await readdir(folder), ['key']);
});

t.test('a file of more than 64 MiB is not read', async (t) => {
  const file = join(await tempFolder(t), 'key');
  await writeSecretFile(file, '');
  await truncate(file, 64 * 1024 * 1024);
  t.equal((await readSecretFile(file)).length, 64 * 1024 * 1024);
  await truncate(file, 64 * 1024 * 1024 + 1);
  await t.rejects(readSecretFile(file), { message: /found 67108865 bytes, expected at most 64 MiB/ });
});
