import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, glob, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { root, sources } from '../../../tools/build.ts';
import { equivalents } from '../../../tools/mutants/equivalent.ts';
import { parses, withFault } from '../../../tools/mutants/faults.ts';
import { describe, everyMutant, lineWith, type Mutant } from '../../../tools/mutants/mutants.ts';
import { sample } from '../../../tools/mutants/sample.ts';
import { ImportGraph, witnessesOf } from '../../../tools/mutants/witnesses.ts';

/** Folders whose tests run from the sources, in a second or so each. */
const quickFolders = ['signature', 'policy', 'keyring', 'http1'];
const seed = '1';
const count = 20;
/** So many of the nearest tests have to notice a fault. */
const mostWitnesses = 4;
/** A fault may make a test hang. */
const limitMs = 60_000;

t.test('a seeded sample of faults in the security folders is noticed', { timeout: 900_000 }, async (t) => {
  const copy = await mkdtemp(join(tmpdir(), 'countersign-sample-'));
  t.teardown(() => rm(copy, { recursive: true, force: true }));
  for (const name of [...sources, 'test']) await cp(join(root, name), join(copy, name), { recursive: true });
  await symlink(join(root, 'node_modules'), join(copy, 'node_modules'));
  const tests: string[] = [];
  for await (const test of glob('test/sidecar/**/*.test.ts', { cwd: root })) tests.push(test);
  const graph = new ImportGraph(root);
  const mutants = (await everyMutant()).filter(
    (mutant) =>
      quickFolders.some((folder) => mutant.file.startsWith(`sidecar/${folder}/`)) &&
      parses(withFault(mutant.source, mutant.fault)),
  );
  // Left out after the draw, so that an entry changes nothing about the others.
  const drawn = sample(mutants, count + equivalents.length, seed)
    .filter(
      (mutant) => !equivalents.some(({ file, line }) => file === mutant.file && line === lineWith(mutant)),
    )
    .slice(0, count);
  const survivors: string[] = [];
  for (const mutant of drawn) {
    const { direct } = await witnessesOf(mutant.file, tests.sort(), graph);
    if (await isNoticed(copy, mutant, direct.slice(0, mostWitnesses))) t.pass(describe(mutant));
    else survivors.push(describe(mutant));
  }
  // 95 of a hundred: `npm run mutants` judges all of them.
  t.ok(survivors.length <= count * 0.05, `not noticed: ${survivors.join('\n')}`);
});

async function isNoticed(copy: string, { file, source, fault }: Mutant, tests: readonly string[]) {
  await writeFile(join(copy, file), withFault(source, fault));
  try {
    for (const test of tests) {
      const child = spawn(process.execPath, [test], {
        cwd: copy,
        stdio: 'ignore',
        env: { PATH: process.env.PATH },
      });
      const limit = setTimeout(() => child.kill('SIGKILL'), limitMs);
      const [code] = (await once(child, 'close')) as [number | null];
      clearTimeout(limit);
      if (code !== 0) return true;
    }
    return false;
  } finally {
    await writeFile(join(copy, file), source);
  }
}
