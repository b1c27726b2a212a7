import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { busyNote } from './machine.ts';
import type { Kept, Results } from './results.ts';
import { subjects } from './subjects/all.ts';
import { markdownTable } from './table.ts';

const file = join(import.meta.dirname, '../README.md');
const begin = '<!-- bench:begin -->';
const end = '<!-- bench:end -->';

/** Whose tables the README shows; of all others it tells which targets were reached. */
const shown = ['cpu', 'added-latency', 'latency'];
const otherSubjects = subjects.map(({ id }) => id).filter((id) => !shown.includes(id));

/** Writes the README's performance section from the kept results; `plots` are those that exist. */
export async function writeReadme(kept: Results, plots: readonly string[]): Promise<void> {
  const results = await keptOf(kept, shown);
  if (results.length === 0)
    throw new Error('found no results in bench/results/, expected those of `npm run bench`');
  const targets = targetLines(await keptOf(kept, otherSubjects));
  const section = `${begin}\n\n${sectionOf(results, targets, plots)}\n${end}`;
  const readme = await readFile(file, 'utf8');
  const from = readme.indexOf(begin);
  const to = readme.indexOf(end);
  const next =
    from >= 0 && to > from
      ? readme.slice(0, from) + section + readme.slice(to + end.length)
      : readme.replace(/\n## Read on\n/, `\n## What it costs\n\n${section}\n\n## Read on\n`);
  await writeFile(file, next);
  // As the check wants it: tables aligned.
  spawnSync(join(import.meta.dirname, '../node_modules/.bin/biome'), ['format', '--write', file]);
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
    .map((name) => `![${name}](bench/results/${name}.svg)`);
  const named = Object.entries(versions).map(([id, version]) => `${id} ${version}`);
  return `${[
    `Measured by \`npm run bench\` on ${at.slice(0, 10)}: ${machine.cpu}, ${machine.cores} cores, ${machine.system}, Linux ${machine.kernel}, Node ${machine.node}; ${machine.pinning}.`,
    'A ratio is the median of the rounds, with the least and the greatest in parentheses; `~` says that the rounds do not agree on who is ahead. [docs/performance.md](docs/performance.md) says how it is measured.',
    ...(busy === undefined ? [] : [`**${busy}**`]),
    ...tables.map((table) => table.trimEnd()),
    ...(targets.length === 0 ? [] : [`**Targets of the other subjects**\n\n${targets.join('\n')}`]),
    ...images,
    `Versions: ${named.join(', ')}.`,
  ].join('\n\n')}\n`;
}
