import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { busyNote } from './machine.ts';
import type { Kept, Results } from './results.ts';
import { median } from './statistics.ts';
import { subjects } from './subjects/all.ts';
import type { CpuData } from './subjects/cpu.ts';
import { markdownTable } from './table.ts';

const readme = join(import.meta.dirname, '../README.md');
const performance = join(import.meta.dirname, '../docs/performance.md');
const begin = '<!-- bench:begin -->';
const end = '<!-- bench:end -->';

/** Whose tables docs/performance.md shows; of all others it tells which targets were reached. */
const shown = ['cpu', 'added-latency', 'latency'];
const otherSubjects = subjects.map(({ id }) => id).filter((id) => !shown.includes(id));

/** Writes the tables into docs/performance.md and their sum into the README; `plots` are those that exist. */
export async function writePages(kept: Results, plots: readonly string[]): Promise<void> {
  const results = await keptOf(kept, shown);
  if (results.length === 0)
    throw new Error('found no results in bench/results/, expected those of `npm run bench`');
  const targets = targetLines(await keptOf(kept, otherSubjects));
  await writeSection(performance, sectionOf(results, targets, plots));
  const cpu = results.find(({ id }) => id === 'cpu');
  if (cpu !== undefined) await writeSection(readme, summaryOf(cpu, plots));
}

/** Replaces what stands between the two marks of a page. */
async function writeSection(page: string, section: string): Promise<void> {
  const text = await readFile(page, 'utf8');
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from < 0 || to < from) throw new Error(`${page}: found no ${begin} … ${end}, expected both`);
  await writeFile(page, `${text.slice(0, from)}${begin}\n\n${section}\n${text.slice(to)}`);
  // As the check wants it: tables aligned.
  spawnSync(join(import.meta.dirname, '../node_modules/.bin/biome'), ['format', '--write', page]);
}

/** Three figures and a picture. */
function summaryOf({ machine, at, data }: Kept, plots: readonly string[]): string {
  const measured = data as CpuData;
  const cpuOf = (id: string) => median((measured[id]?.samples ?? []).map(({ cpu }) => cpu));
  const own = measured['countersign-inbound']?.samples ?? [];
  // Both were measured in the same round, one after the other.
  const ratioTo = (id: string) =>
    median((measured[id]?.samples ?? []).map(({ cpu }, round) => (own[round]?.cpu ?? 0) / cpu)).toFixed(2);
  const lines = [
    `- **${cpuOf('countersign-inbound').toFixed(0)} µs of CPU** for each call that inbound checks and forwards; ${cpuOf('countersign-pair').toFixed(0)} µs for both sidecars of a call.`,
    `- **${ratioTo('haproxy-equal')} × HAProxy** with the same checks, ${ratioTo('nginx-lua')} × nginx + Lua with the same checks.`,
    `- **${ratioTo('http-proxy-3')} × http-proxy-3** with the same checks.`,
  ];
  return `${[
    lines.join('\n'),
    ...(plots.includes('cpu') ? ['![CPU per request, beside the peers](bench/results/cpu.svg)'] : []),
    `Measured by \`npm run bench\` on ${at.slice(0, 10)} (${machine.cpu}, ${machine.cores} cores); medians of interleaved rounds. [docs/performance.md](docs/performance.md) has every table, every target that was missed, and how it is measured.`,
  ].join('\n\n')}\n`;
}

async function keptOf(kept: Results, ids: readonly string[]): Promise<Kept[]> {
  const all = await Promise.all(ids.map((id) => kept.kept(id)));
  return all.filter((result) => result !== undefined);
}

/** Every target that a subject says was reached or missed, a line each. */
function targetLines(results: readonly Kept[]): string[] {
  return results.flatMap(({ table: { title, notes } }) =>
    notes.filter((note) => note.includes('target')).map((note) => `- ${title}: ${note}`),
  );
}

function sectionOf(results: readonly Kept[], targets: readonly string[], plots: readonly string[]): string {
  const { machine, at, versions } = results[0]!;
  const busy = busyNote(machine);
  const tables = results.map(({ table }) => {
    const notes = table.notes.map((note) => `- ${note}`).join('\n');
    return `**${table.title}**\n\n${markdownTable(table)}\n${notes === '' ? '' : `\n${notes}\n`}`;
  });
  const images = plots
    .filter((name) => name === 'cpu' || name === 'latency')
    .map((name) => `![${name}](../bench/results/${name}.svg)`);
  const named = Object.entries(versions).map(([id, version]) => `${id} ${version}`);
  return `${[
    `Measured by \`npm run bench\` on ${at.slice(0, 10)}: ${machine.cpu}, ${machine.cores} cores, ${machine.system}, Linux ${machine.kernel}, Node ${machine.node}; ${machine.pinning}.`,
    'A ratio is the median of the rounds, with the least and the greatest in parentheses; `~` says that the rounds do not agree on who is ahead. How it is measured stands below.',
    ...(busy === undefined ? [] : [`**${busy}**`]),
    ...tables.map((table) => table.trimEnd()),
    ...(targets.length === 0 ? [] : [`**Targets of the other subjects**\n\n${targets.join('\n')}`]),
    ...images,
    `Versions: ${named.join(', ')}.`,
  ].join('\n\n')}\n`;
}
