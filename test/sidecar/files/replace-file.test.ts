import { chmod, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { createFile, deleteFile, replaceFile, rewriteFile } from '../../../sidecar/files/replace-file.ts';
import { tempFolder } from '../../support/temp-folder.ts';

t.test('replaces a file whole, with the mode that was asked for, and leaves no draft', async (t) => {
  const folder = await tempFolder(t);
  const file = join(folder, 'state.json');
  await replaceFile(file, 'one');
  t.equal((await stat(file)).mode & 0o777, 0o600);
  async function* pieces() {
    yield 'tw';
    yield Buffer.from('o');
  }
  await replaceFile(file, pieces(), { mode: 0o644, draft: 'fixed' });
  t.equal(await readFile(file, 'utf8'), 'two');
  t.equal((await stat(file)).mode & 0o777, 0o644);
  t.same(await readdir(folder), ['state.json']);
});

t.test('keeps the old content, and no draft, when the new one fails midway', async (t) => {
  const folder = await tempFolder(t);
  const file = join(folder, 'state.json');
  await replaceFile(file, 'one');
  function* broken() {
    yield 'half';
    throw new Error('no more');
  }
  for (const draft of ['random', 'fixed'] as const)
    await t.rejects(replaceFile(file, broken(), { draft }), { message: 'no more' });
  t.equal(await readFile(file, 'utf8'), 'one');
  t.same(await readdir(folder), ['state.json']);
});

t.test('a fixed draft that a killed process left is replaced', async (t) => {
  const folder = await tempFolder(t);
  await writeFile(join(folder, '.state.json.draft'), 'left', { mode: 0o400 });
  await replaceFile(join(folder, 'state.json'), 'new', { draft: 'fixed' });
  t.same(await readdir(folder), ['state.json']);
});

t.test('many replacements at once end with one of the contents', async (t) => {
  const folder = await tempFolder(t);
  const file = join(folder, 'state.json');
  const contents = Array.from({ length: 20 }, (_, index) => String(index).repeat(10_000));
  await Promise.all(contents.map((content) => replaceFile(file, content)));
  t.ok(contents.includes(await readFile(file, 'utf8')));
  t.same(await readdir(folder), ['state.json']);
});

t.test('rewrites a file behind a symbolic link and keeps its mode', async (t) => {
  const folder = await tempFolder(t);
  const [file, link] = [join(folder, 'matrix.yaml'), join(folder, 'link.yaml')];
  await writeFile(file, 'old');
  await chmod(file, 0o664);
  await symlink('matrix.yaml', link);
  await rewriteFile(link, 'new');
  t.equal(await readFile(file, 'utf8'), 'new');
  t.equal((await stat(file)).mode & 0o777, 0o664);
  t.same(await readdir(folder), ['link.yaml', 'matrix.yaml']);
});

t.test('creates a file only where there is none', async (t) => {
  const folder = await tempFolder(t);
  const file = join(folder, 'key');
  t.same((await Promise.all([createFile(file, 'a'), createFile(file, 'a')])).sort(), [false, true]);
  t.equal(await createFile(file, 'b'), false);
  t.equal(await readFile(file, 'utf8'), 'a');
  t.same(await readdir(folder), ['key']);
  await deleteFile(file);
  t.same(await readdir(folder), []);
});
