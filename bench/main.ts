/**
 * `npm run bench [-- quick|full|readme|SUBJECT...]`: every peer side by side on this machine, in one run. At most ten
 * minutes; `quick` takes about one, `full` as long as a soak takes; `readme` only writes the README's section anew
 * from the last results. Names of subjects restrict a run to them.
 */
import { build } from '../sidecar/local/build.ts';
import { differences } from './equal-work.ts';
import { drawPlots } from './figures.ts';
import { busyNote, machine } from './machine.ts';
import { peers } from './peers/all.ts';
import { writeReadme } from './readme.ts';
import { Results } from './results.ts';
import { missingPackages, Stage } from './stage.ts';
import type { Bench, Entry, Mode, Pace, Result } from './subject.ts';
import { subjects } from './subjects/all.ts';
import { terminalTable } from './table.ts';

const paces: Readonly<Record<Mode, Pace>> = {
  quick: { rounds: 2, warmMs: 200, ms: 500 },
  usual: { rounds: 5, warmMs: 300, ms: 1000 },
  full: { rounds: 9, warmMs: 500, ms: 2000 },
};

async function main(words: readonly string[]): Promise<void> {
  if (words.join() === 'readme') {
    const results = new Results('usual');
    await writeReadme(results, await drawPlots(results));
    return;
  }
  const mode: Mode = words.includes('quick') ? 'quick' : words.includes('full') ? 'full' : 'usual';
  const named = words.filter((word) => word !== mode);
  const unknown = named.filter((word) => !subjects.some(({ id }) => id === word));
  if (unknown.length > 0) {
    const known = ['quick', 'full', 'readme', ...subjects.map(({ id }) => id)].join(', ');
    throw new Error(`found "${unknown.join(' ')}", expected any of ${known}`);
  }
  const startedAt = performance.now();
  const say = (text: string) => console.log(text);
  say('building what is measured');
  await build(['countersign-logging', 'countersign-enforcing']);
  const stage = await Stage.open();
  const about = { mode, machine: machine(stage.cores) };
  const busy = busyNote(about.machine);
  if (busy !== undefined) say(busy);
  const entries: Entry[] = [];
  const versions: Record<string, string> = {};
  const absent: string[] = [];
  try {
    for (const peer of peers) {
      const missing = missingPackages(peer);
      if (missing.length > 0) {
        absent.push(peer.title);
        say(`${peer.title}: not installed (apt-get install ${missing.join(' ')})`);
        continue;
      }
      versions[peer.id] = peer.version();
      const running = await stage.start(peer);
      const wrong = await differences(peer, running.port, stage.identity);
      if (wrong.length > 0) throw new Error(`${peer.title} does not do equal work: ${wrong.join('; ')}`);
      entries.push({ peer, running });
    }
    say(`${entries.length} peers answer right and wrong requests as they should`);
    const bench: Bench = { mode, stage, entries, pace: paces[mode], say };
    const results = new Results(mode);
    const found: Result[] = [];
    for (const subject of subjects) {
      if (named.length > 0 ? !named.includes(subject.id) : !subject.modes.includes(mode)) continue;
      const result = await subject.run(bench);
      found.push(withAbsent(result, absent));
      say(terminalTable(found.at(-1)!.table));
      await results.keep({ ...about, at: new Date().toISOString(), versions, ...found.at(-1)! });
    }
    const plots = await drawPlots(results);
    // A quick run is a smoke test: its figures are no result.
    if (mode !== 'quick' && named.length === 0) await writeReadme(results, plots);
    say(`\ndone in ${((performance.now() - startedAt) / 1000).toFixed(0)} s; every run is in bench/results/`);
  } finally {
    await Promise.all(entries.map(({ running }) => running.stop()));
    await stage.close();
  }
}

/** Whoever is not here is named, so that nobody takes the table for complete. */
function withAbsent(result: Result, absent: readonly string[]): Result {
  const { table } = result;
  if (table.columns[0] !== 'peer') return result;
  const rows = absent.map((title) => [title, 'not installed', ...table.columns.slice(2).map(() => '')]);
  return { ...result, table: { ...table, rows: [...table.rows, ...rows] } };
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));
try {
  await main(process.argv.slice(2));
  process.exit(0);
} catch (error) {
  console.error(`bench: ${(error as Error).message}`);
  process.exit(1);
}
