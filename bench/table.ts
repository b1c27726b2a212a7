import type { Table } from './subject.ts';
import { targetText } from './targets.ts';

/** For the terminal: columns aligned, numbers to the right. */
export function terminalTable({ title, columns, rows, notes, targets = [] }: Table): string {
  const all = [columns, ...rows];
  const widths = columns.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) =>
        column === 0 || column === row.length - 1
          ? cell.padEnd(widths[column]!)
          : cell.padStart(widths[column]!),
      )
      .join('  ')
      .trimEnd();
  const body = [line(columns), '-'.repeat(line(columns).length), ...rows.map(line)];
  const lines = [...notes, ...targets.map(targetText)].map((note) => `  ${note}`);
  return [`\n${title}`, ...body, ...lines].join('\n');
}

/** For a page: a table of Markdown, columns without content left out. */
export function markdownTable({ columns, rows }: Table): string {
  const used = columns.map((_, column) => rows.some((row) => (row[column] ?? '') !== ''));
  const keep = (row: readonly string[]) => row.filter((_, column) => used[column]);
  const cells = [keep(columns), ...rows.map(keep)];
  const width = (column: number) => Math.max(3, ...cells.map((row) => (row[column] ?? '').length));
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, column) => (column === 0 ? cell.padEnd(width(column)) : cell.padStart(width(column)))).join(' | ')} |`;
  const rule = `| ${keep(columns)
    .map((_, column) => (column === 0 ? '-'.repeat(width(column)) : `${'-'.repeat(width(column) - 1)}:`))
    .join(' | ')} |`;
  return [line(cells[0]!), rule, ...cells.slice(1).map(line)].join('\n');
}
