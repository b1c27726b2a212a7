import { open, readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { createFile, deleteFile, replaceFile, rewriteFile } from '../../../sidecar/files/replace-file.ts';
import { FileRecorder } from '../../support/file-recorder.ts';

const before = 'the content before, which is longer than the one after';
const after = 'the content after';

type Change = (file: string) => Promise<unknown>;
const replacements: Readonly<Record<string, Change>> = {
  'replaceFile, random draft': (file) => replaceFile(file, after),
  'replaceFile, fixed draft': (file) => replaceFile(file, after, { draft: 'fixed' }),
  'replaceFile, in pieces': (file) => replaceFile(file, [after.slice(0, 5), after.slice(5)]),
  rewriteFile: (file) => rewriteFile(file, after),
};

for (const [name, replace] of Object.entries(replacements)) {
  t.test(
    `${name}: a power cut leaves the old content or the new one, and the new one once it resolves`,
    async (t) => {
      const folder = t.testdir({ file: before });
      const recorder = await FileRecorder.start(t, folder);
      await replace(join(folder, 'file'));
      const found = new Set<string | undefined>();
      for (let moment = 0; moment <= recorder.now; moment++)
        for (const remains of recorder.cuts(moment)) found.add(remains.get('file')?.toString());
      t.strictSame([...found].sort(), [after, before].sort(), 'nothing torn, and never no file');
      for (const remains of recorder.cuts(recorder.now)) t.equal(remains.get('file')?.toString(), after);
    },
  );

  t.test(`${name}: an error of any call leaves one of the two, and no draft`, async (t) => {
    for (const code of ['ENOSPC', 'EIO', 'EMFILE']) {
      for (let failing = 0, done = false; !done; failing++) {
        const folder = t.testdir({ file: before });
        await t.test(`${code} of call ${failing}`, async (t) => {
          const recorder = await FileRecorder.start(t, folder);
          recorder.failure = (call) => (call === failing ? code : undefined);
          const result = await replace(join(folder, 'file')).then(
            () => undefined,
            (error: NodeJS.ErrnoException) => error,
          );
          done = recorder.calls <= failing;
          if (!done) t.equal(result?.code, code, 'the caller is told');
          t.ok([before, after].includes(await readFile(join(folder, 'file'), 'utf8')));
          t.strictSame(await readdir(folder), ['file']);
        });
      }
    }
  });
}

t.test('createFile: a power cut leaves no file or a whole one, and the file once it resolves', async (t) => {
  const folder = t.testdir({});
  const recorder = await FileRecorder.start(t, folder);
  t.equal(await createFile(join(folder, 'file'), after), true);
  for (let moment = 0; moment <= recorder.now; moment++)
    for (const remains of recorder.cuts(moment))
      t.ok([undefined, after].includes(remains.get('file')?.toString()), `moment ${moment}`);
  for (const remains of recorder.cuts(recorder.now)) t.equal(remains.get('file')?.toString(), after);
});

t.test('deleteFile: the file does not come back once it resolves', async (t) => {
  const folder = t.testdir({ file: before });
  const recorder = await FileRecorder.start(t, folder);
  await deleteFile(join(folder, 'file'));
  const found = [...recorder.cuts(recorder.now - 1)].map((remains) => remains.has('file'));
  t.strictSame(found.sort(), [false, true], 'before, it may');
  for (const remains of recorder.cuts(recorder.now)) t.notOk(remains.has('file'));
});

t.test('the recorder tells a file that was not synced, and a folder that was not', async (t) => {
  const folder = t.testdir({ file: before });
  const recorder = await FileRecorder.start(t, folder);
  await using handle = await open(join(folder, 'draft'), 'wx');
  await handle.writeFile(after);
  await rename(join(folder, 'draft'), join(folder, 'file'));
  const found = new Set([...recorder.cuts(recorder.now)].map((remains) => remains.get('file')?.toString()));
  t.strictSame([...found].sort(), ['', after.slice(0, after.length >> 1), after, before].sort());
});
