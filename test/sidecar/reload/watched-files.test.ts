import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { WatchedFiles } from '../../../sidecar/reload/watched-files.ts';
import { tempFolder } from '../../support/temp-folder.ts';

/** Watches files; `changed` resolves with the next change that is told. */
async function watched(t: Test, names: readonly string[]) {
  const folder = await tempFolder(t);
  let next = Promise.withResolvers<void>();
  let changes = 0;
  const at = (name: string) => join(folder, name);
  await writeFile(at('a'), '1');
  const watching = new WatchedFiles(names.map(at), () => {
    changes++;
    next.resolve();
    next = Promise.withResolvers();
  });
  // What watches keeps no process alive.
  const alive = setInterval(() => {}, 60_000);
  t.teardown(() => {
    clearInterval(alive);
    watching.close();
  });
  const first = next.promise;
  await first;
  return { at, changed: () => next.promise, changes: () => changes };
}

t.test('tells once at first, and of every kind of change', async (t) => {
  const { at, changed } = await watched(t, ['a', 'b']);
  for (const change of [
    () => writeFile(at('a'), '2'),
    () => writeFile(at('draft'), '3').then(() => rename(at('draft'), at('a'))),
    () => writeFile(at('b'), '1'),
    () => rm(at('b')),
  ]) {
    const told = changed();
    await change();
    await told;
    t.pass();
  }
});

t.test('does not tell of other files', async (t) => {
  const { at, changed, changes } = await watched(t, ['a']);
  const before = changes();
  await writeFile(at('other'), '1');
  const told = changed();
  await writeFile(at('a'), '2');
  await told;
  t.equal(changes(), before + 1);
});
