import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { busyNote } from './machine.ts';
import type { Kept, Results } from './results.ts';
import { subjects } from './subjects/all.ts';
import { type CpuData, rankedCells } from './subjects/cpu.ts';
import { type Cell, cellRatio, costOf } from './subjects/grid.ts';
import { markdownTable } from './table.ts';
import { targetText } from './targets.ts';

const readme = join(import.meta.dirname, '../README.md');
const performance = join(import.meta.dirname, '../docs/performance.md');
const coreService = join(import.meta.dirname, '../docs/core.md');
/** What stands before and after the part of a page that is written here. */
const marks = ['<!-- bench:begin -->', '<!-- bench:end -->'] as const;

/** Whose tables docs/performance.md shows, in this order; of all others it tells the targets. */
const shown = [
  'cpu',
  'pair',
  'sealed',
  'rates',
  'bodies',
  'streams',
  'websockets',
  'hop',
  'overload',
  'idle',
  'start-up',
  'pauses',
];
/** The plots that stand below the table of their name. */
const plotOf: Readonly<Record<string, readonly string[]>> = {
  cpu: ['cpu'],
  sealed: ['sealed'],
  rates: ['rates', 'latency'],
};

/**
 * Writes the tables into docs/performance.md, their sum into the README and the core service's into docs/core.md, each as far
 * as there are results.
 *
 * @param plots those that exist
 */
export async function writePages(kept: Results, plots: readonly string[]): Promise<void> {
  const results = await keptOf(kept, shown);
  if (results.length === 0)
    throw new Error('found no results in bench/results/, expected those of `npm run bench`');
  const all = await keptOf(
    kept,
    subjects.map(({ id }) => id),
  );
  await writeSection(performance, sectionOf(results, targetTable(all), plots));
  const cpu = results.find(({ id }) => id === 'cpu');
  if (cpu !== undefined) await writeSection(readme, summaryOf(cpu, plots));
  const core = all.find(({ id }) => id === 'core');
  if (core !== undefined) await writeSection(coreService, coreSection(core));
}

/** Replaces what stands between the two marks of a page. */
async function writeSection(page: string, section: string): Promise<void> {
  const text = await readFile(page, 'utf8');
  const [begin, end] = marks;
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from < 0 || to < from) throw new Error(`${page}: found no ${begin} … ${end}, expected both`);
  await writeFile(page, `${text.slice(0, from)}${begin}\n\n${section}\n${text.slice(to)}`);
  // As the check wants it: tables aligned.
  spawnSync(join(import.meta.dirname, '../node_modules/.bin/biome'), ['format', '--write', page]);
}

function coreSection({ machine, at, table }: Kept): string {
  const busy = busyNote(machine);
  return `${[
    `Measured with \`npm run bench -- core\` on ${at.slice(0, 10)}: ${machine.cores} × ${machine.cpu}, Linux ${machine.kernel}, Node ${machine.node}.`,
    ...(busy === undefined ? [] : [busy]),
    markdownTable(table),
    (table.targets ?? []).map((target) => `- ${targetText(target)}`).join('\n'),
  ].join('\n\n')}\n`;
}

/** Three figures and a picture. */
function summaryOf({ machine, at, data }: Kept, plots: readonly string[]): string {
  const { best } = rankedCells(data as CpuData);
  const inbound = best.find(({ id }) => id === 'countersign-inbound');
  const pair = best.find(({ id }) => id === 'countersign-pair');
  const titled = (title: string) => best.find((cell) => cell.title.startsWith(title));
  const microseconds = (cell: Cell | undefined) => (cell === undefined ? '?' : costOf(cell).toFixed(0));
  const ratio = (ours: Cell | undefined, title: string) => cellRatio(ours, titled(title)).ratio.toFixed(2);
  const lines = [
    `- **${microseconds(inbound)} µs of CPU** for each call that inbound checks and forwards; ${microseconds(pair)} µs for both sidecars of a call, with TLS between them.`,
    `- **${ratio(inbound, 'HAProxy, equal')} × HAProxy** and ${ratio(inbound, 'nginx + Lua')} × nginx + Lua with the same checks, each as its experts run it; ${ratio(inbound, 'http-proxy-3')} × http-proxy-3.`,
    `- **${ratio(pair, 'HAProxy →')} × two HAProxies** that sign, check and encrypt between them.`,
  ];
  return `${[
    lines.join('\n'),
    ...(plots.includes('cpu') ? ['![CPU per call, beside the peers](bench/results/cpu.svg)'] : []),
    `Measured by \`npm run bench\` on ${at.slice(0, 10)} (${machine.cpu}, ${machine.cores} cores); medians of interleaved rounds. [docs/performance.md](docs/performance.md) has every table, every target that was missed, and how it is measured.`,
  ].join('\n\n')}\n`;
}

async function keptOf(kept: Results, ids: readonly string[]): Promise<Kept[]> {
  const all = await Promise.all(ids.map((id) => kept.kept(id)));
  return all.filter((result) => result !== undefined);
}

/** Every target, a row each; those that were missed first. */
function targetTable(results: readonly Kept[]): string {
  const targets = results.flatMap(({ table }) => table.targets ?? []);
  const rows = targets
    .toSorted((a, b) => Number(a.reached) - Number(b.reached))
    .map(({ what, wanted, found, reached }) => [what, wanted, found, reached ? 'reached' : '**missed**']);
  return markdownTable({ title: '', columns: ['target', 'wanted', 'found', ''], rows, notes: [] });
}

function sectionOf(results: readonly Kept[], targets: string, plots: readonly string[]): string {
  const { machine, at, versions } = results[0]!;
  const busy = busyNote(machine);
  const tables = results.map(({ id, table }) => {
    const notes = table.notes.map((note) => `- ${note}`).join('\n');
    const images = (plotOf[id] ?? [])
      .filter((name) => plots.includes(name))
      .map((name) => `![${table.title}](../bench/results/${name}.svg)`);
    return [`### ${table.title}`, markdownTable(table), ...(notes === '' ? [] : [notes]), ...images].join(
      '\n\n',
    );
  });
  const named = Object.entries(versions).map(([title, version]) => `${title}: ${version}`);
  return `${[
    `Measured by \`npm run bench\` on ${at.slice(0, 10)}: ${machine.cpu}, ${machine.cores} cores, ${machine.system}, Linux ${machine.kernel}, Node ${machine.node}; ${machine.pinning}.`,
    'A ratio is the median of the rounds, with the least and the greatest in parentheses; `~` says that the rounds do not agree on who is ahead. How it is measured stands below.',
    ...(busy === undefined ? [] : [`**${busy}**`]),
    '### Targets',
    targets,
    ...tables,
    `Versions: ${named.join('; ')}.`,
  ].join('\n\n')}\n`;
}
