import { readFile, writeFile } from 'node:fs/promises';
import { cpus, release } from 'node:os';

/** One line of the table. */
export interface Row {
  readonly what: string;
  readonly value: string;
  readonly note: string;
}

const begin = '<!-- measured: begin -->';
const end = '<!-- measured: end -->';

/** The table as Markdown, with the machine that it was measured on. */
export function toMarkdown(rows: readonly Row[], at: Date): string {
  const [cpu] = cpus();
  const lines = rows.map(({ what, value, note }) => `| ${what} | ${value} | ${note} |`);
  return [
    `Measured with \`node bench/core.ts --write\` on ${at.toISOString().slice(0, 10)}: ${cpus().length} × ${cpu?.model ?? 'CPU'}, Linux ${release()}, Node ${process.versions.node}.`,
    '',
    '| What | Measured | |',
    '| --- | --- | --- |',
    ...lines,
  ].join('\n');
}

/** Puts the table where the page has its place for it. */
export async function writeInto(file: string, markdown: string): Promise<void> {
  const page = await readFile(file, 'utf8');
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from === -1 || to < from) throw new Error(`${file} has no lines ${begin} and ${end}`);
  await writeFile(file, `${page.slice(0, from + begin.length)}\n${markdown}\n${page.slice(to)}`);
}
