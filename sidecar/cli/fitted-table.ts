import { printable } from './table.ts';

export interface Column {
  readonly title: string;
  /** Numbers stand to the right. */
  readonly right?: true;
  /** Gives way when the table is wider than the screen; longer texts are cut, with `…`. */
  readonly flexible?: true;
}

const narrowest = 10;

/**
 * Rows in columns, under their titles, at most as wide as told unless the columns that do not give
 * way need more.
 *
 * @param width in characters
 * @param gap spaces between two columns
 */
export function fittedTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width: number,
  gap = 2,
): string[] {
  const shown = [columns.map(({ title }) => title), ...rows.map((row) => row.map(printable))];
  const widths = columns.map((_, at) => Math.max(...shown.map((row) => (row[at] ?? '').length)));
  narrow(columns, widths, width - gap * (columns.length - 1));
  return shown.map((row) =>
    columns
      .map(({ right }, at) => {
        const cell = cut(row[at] ?? '', widths[at] as number);
        return right ? cell.padStart(widths[at] as number) : cell.padEnd(widths[at] as number);
      })
      .join(' '.repeat(gap))
      .trimEnd(),
  );
}

/** Takes what is too much from the widest of the flexible columns, again and again. */
function narrow(columns: readonly Column[], widths: number[], room: number): void {
  let excess = widths.reduce((sum, each) => sum + each, 0) - room;
  while (excess > 0) {
    const flexible = widths.map((each, at) => (columns[at]?.flexible ? each : 0));
    const widest = flexible.indexOf(Math.max(...flexible));
    if ((flexible[widest] ?? 0) <= narrowest) return;
    widths[widest]! -= 1;
    excess--;
  }
}

/** A text of at most so many characters; what is cut off shows as `…`. */
export function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;
}
