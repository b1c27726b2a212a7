import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, glob, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { root, sources } from '../build.ts';
import { equivalents } from './equivalent.ts';
import { parses, withFault } from './faults.ts';
import { describe, everyMutant, lineWith, type Mutant } from './mutants.ts';
import { sample } from './sample.ts';
import { ImportGraph, witnessesOf } from './witnesses.ts';

const usage = `npm run mutants                           every fault in the security folders (hours)
npm run mutants -- --sample 20 --seed 1   twenty of them, the same ones for the same seed
npm run mutants -- --only sidecar/policy  the faults of a folder or file
npm run mutants -- --list                 tell them, run nothing`;

/** Of a hundred faults so many have to be noticed. */
const wantedShare = 0.95;
/** A run of tests with a fault in the code may hang; a whole one takes a fraction of this. */
const limitMs = 240_000;

type Fate = 'killed' | 'survived' | 'equivalent' | 'invalid';

async function main(words: string[]): Promise<number> {
  const { values } = parseArgs({
    args: words,
    options: {
      sample: { type: 'string' },
      seed: { type: 'string', default: '1' },
      only: { type: 'string', default: '' },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const all = (await everyMutant()).filter(({ file }) => file.startsWith(values.only));
  const mutants = values.sample === undefined ? all : sample(all, Number(values.sample), values.seed);
  console.log(`${mutants.length} of ${all.length} faults, seed ${values.seed}`);
  if (values.list) {
    for (const mutant of mutants) console.log(describe(mutant));
    return 0;
  }
  const copy = await copyOfTheTree();
  try {
    return await judge(mutants, copy);
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

async function judge(mutants: readonly Mutant[], copy: string): Promise<number> {
  const tests: string[] = [];
  for await (const test of glob('test/sidecar/**/*.test.ts', { cwd: root })) tests.push(test);
  const graph = new ImportGraph(root);
  const survivors: Mutant[] = [];
  let killed = 0;
  for (const mutant of mutants) {
    const { direct, built } = await witnessesOf(mutant.file, tests.sort(), graph);
    const fate = await fateOf(mutant, copy, direct, built);
    console.log(`${fate.padEnd(10)} ${describe(mutant)}`);
    if (fate === 'killed') killed++;
    if (fate === 'survived') survivors.push(mutant);
  }
  const judged = killed + survivors.length;
  const share = judged === 0 ? 0 : killed / judged;
  console.log(
    `\n${killed} of ${judged} faults were noticed (${(share * 100).toFixed(1)} %, wanted ${wantedShare * 100} %)`,
  );
  console.log(`${killed} passed, ${share >= wantedShare ? 0 : survivors.length} failed`);
  return share >= wantedShare ? 0 : 1;
}

async function fateOf(
  mutant: Mutant,
  copy: string,
  direct: readonly string[],
  built: readonly string[],
): Promise<Fate> {
  const { file, source, fault } = mutant;
  const line = lineWith(mutant);
  if (equivalents.some((known) => known.file === file && known.line === line)) return 'equivalent';
  if (!parses(withFault(source, fault))) return 'invalid';
  const place = join(copy, file);
  await writeFile(place, withFault(source, fault));
  try {
    if (direct.length > 0 && !(await passes(copy, direct))) return 'killed';
    // What does not even build is noticed as well.
    const builds = await succeeds(copy, [
      'tools/build.ts',
      'countersign-logging',
      'countersign-enforcing',
      'countersign',
    ]);
    if (!builds || !(await passes(copy, built))) return 'killed';
    return 'survived';
  } finally {
    await writeFile(place, source);
  }
}

const passes = (copy: string, tests: readonly string[]) =>
  succeeds(copy, ['node_modules/.bin/tap', '--reporter=silent', '--bail', '--jobs=2', ...tests]);

/** Whether a program of the copy ends with exit code 0, in time. */
async function succeeds(copy: string, words: readonly string[]): Promise<boolean> {
  const child = spawn(process.execPath, words, { cwd: copy, stdio: 'ignore', detached: true });
  const limit = setTimeout(() => endGroup(child.pid as number), limitMs);
  const [code] = (await once(child, 'close')) as [number | null];
  clearTimeout(limit);
  endGroup(child.pid as number);
  return code === 0;
}

function endGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Nothing of the group is left.
  }
}

/** A copy of what tests need, in which sources can be changed. */
async function copyOfTheTree(): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), 'countersign-mutants-'));
  for (const name of [...sources, 'test', 'bench', 'docs', 'ansible', '.taprc'])
    await cp(join(root, name), join(copy, name), { recursive: true });
  await symlink(join(root, 'node_modules'), join(copy, 'node_modules'));
  await mkdir(join(copy, 'dist'));
  if (!(await succeeds(copy, ['tools/build.ts']))) throw new Error('the copy does not build');
  return copy;
}

process.exitCode = await main(process.argv.slice(2));
