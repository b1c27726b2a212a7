/**
 * `npm run bench [-- quick|full|pages|SUBJECT...]`: every peer side by side on this machine, in one run. At most a quarter of
 * an hour; `quick` takes some minutes, `full` as long as a soak takes; `pages` only writes the pages again
 * from the last results. Names of subjects restrict a run to them.
 */
import { build } from '../tools/build.ts';
import { drawPlots } from './figures.ts';
import { busyNote, machine } from './machine.ts';
import { writePages } from './pages.ts';
import { Results } from './results.ts';
import { RunningBench } from './running-bench.ts';
import { Stage } from './stage.ts';
import { startPeers } from './start-peers.ts';
import type { Mode, Pace } from './subject.ts';
import { subjects } from './subjects/all.ts';
import { terminalTable } from './table.ts';

const paces: Readonly<Record<Mode, Pace>> = {
  quick: { rounds: 1, warmMs: 100, ms: 300 },
  usual: { rounds: 5, warmMs: 150, ms: 600 },
  full: { rounds: 9, warmMs: 500, ms: 2000 },
};

/** @returns the exit code */
async function main(words: readonly string[]): Promise<number> {
  if (words.join() === 'pages') {
    const results = new Results('usual');
    await writePages(results, await drawPlots(results));
    return 0;
  }
  const mode: Mode = words.includes('quick') ? 'quick' : words.includes('full') ? 'full' : 'usual';
  const named = words.filter((word) => word !== mode);
  const unknown = named.filter((word) => !subjects.some(({ id }) => id === word));
  if (unknown.length > 0) {
    const known = ['quick', 'full', 'pages', ...subjects.map(({ id }) => id)].join(', ');
    throw new Error(`found "${unknown.join(' ')}", expected any of ${known}`);
  }
  const startedAt = performance.now();
  const say = (text: string) => console.log(text);
  say('building what is measured');
  await build(['countersign', 'countersign-logging', 'countersign-enforcing']);
  const stage = await Stage.open();
  const about = { mode, machine: machine(stage.cores) };
  const busy = busyNote(about.machine);
  if (busy !== undefined) say(busy);
  const { entries, versions, absences } = await startPeers(stage, say);
  try {
    const bench = new RunningBench({ mode, stage, entries, pace: paces[mode], say }, absences);
    const results = new Results(mode);
    let measured = 0;
    for (const subject of subjects) {
      if (named.length > 0 ? !named.includes(subject.id) : !subject.modes.includes(mode)) continue;
      const subjectAt = performance.now();
      const result = await bench.run(subject);
      if (result === undefined) continue;
      measured++;
      say(terminalTable(result.table));
      say(`  ${subject.id}: ${((performance.now() - subjectAt) / 1000).toFixed(0)} s`);
      await results.keep({ ...about, at: new Date().toISOString(), versions, ...result });
    }
    const plots = await drawPlots(results);
    // A complete run has all of its peers; a quick one is a smoke test, and its figures are no result.
    const isComplete = mode !== 'quick' && named.length === 0;
    const failures = [
      ...bench.failures,
      ...(isComplete ? absences.map(({ title, why }) => `${title}: ${why}`) : []),
    ];
    if (isComplete && failures.length === 0) await writePages(results, plots);
    for (const failure of failures) say(`failed: ${failure}`);
    say(`\ndone in ${((performance.now() - startedAt) / 1000).toFixed(0)} s; every run is in bench/results/`);
    say(`${measured} passed, ${failures.length} failed`);
    return failures.length === 0 ? 0 : 1;
  } finally {
    await Promise.all(entries.map(({ running }) => running.stop()));
    await stage.close();
  }
}

try {
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  console.error(`bench: ${(error as Error).message}`);
  process.exit(1);
}
