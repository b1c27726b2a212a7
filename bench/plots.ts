/** SVG plots without a library: light and dark by what the reader's system prefers, ours in a colour of their own. */

const width = 760;
const left = 300;
const right = 60;
/** Of lines that are not ours; readable on white and on black. */
const palette = ['#9a6700', '#8250df', '#1a7f37', '#cf222e', '#6e7781', '#bf3989', '#1b7c83', '#bc4c00'];

const style = `:root{--back:#fff;--text:#1f2328;--grid:#d8dee4;--ours:#0969da;--ours-light:#80ccff;--other:#6e7781;--other-light:#c0c7ce}
@media(prefers-color-scheme:dark){:root{--back:#0d1117;--text:#e6edf3;--grid:#30363d;--ours:#2f81f7;--ours-light:#79c0ff;--other:#7d8590;--other-light:#484f58}}
svg{background:var(--back)}text{font-family:system-ui,sans-serif;fill:var(--text)}.grid{stroke:var(--grid);stroke-width:1}
.ours{fill:var(--ours)}.ours-light{fill:var(--ours-light)}.other{fill:var(--other)}.other-light{fill:var(--other-light)}`;

const escaped = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

interface TextOptions {
  readonly anchor?: 'start' | 'middle' | 'end';
  readonly size?: number;
  readonly bold?: boolean;
}

function text(x: number, y: number, content: string, options: TextOptions = {}): string {
  const { anchor = 'start', size = 12, bold = false } = options;
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" font-size="${size}"${bold ? ' font-weight="600"' : ''}>${escaped(content)}</text>`;
}

function document(height: number, title: string, note: string, body: readonly string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(title)}">
<style>${style}</style>
<rect width="${width}" height="${height}" style="fill:var(--back)"/>
${text(16, 24, title, { size: 15, bold: true })}
${text(16, 42, note, { size: 11 })}
${body.join('\n')}
</svg>
`;
}

export interface Bar {
  readonly title: string;
  readonly ours: boolean;
  /** In the order of the legend; at most two. */
  readonly values: readonly number[];
}

export interface BarGroup {
  /** '' for none. */
  readonly title: string;
  readonly bars: readonly Bar[];
}

/** Horizontal bars, each the sum of its parts; every group has its own scale. */
export function barGroups(
  title: string,
  note: string,
  legend: readonly string[],
  groups: readonly BarGroup[],
): string {
  const step = 26;
  const shades = ['', '-light'];
  const body = legend.flatMap((name, i) => {
    const x = 16 + i * 120;
    return [
      `<rect x="${x}" y="54" width="10" height="10" class="ours${shades[i]}"/>`,
      `<rect x="${x + 12}" y="54" width="10" height="10" class="other${shades[i]}"/>`,
      text(x + 26, 63, name, { size: 11 }),
    ];
  });
  let y = legend.length === 0 ? 58 : 78;
  for (const group of groups) {
    if (group.title !== '') {
      body.push(text(16, y + 14, group.title, { bold: true }));
      y += step;
    }
    const sums = group.bars.map(({ values }) => values.reduce((sum, value) => sum + value, 0));
    const scale = (width - left - right) / Math.max(...sums);
    group.bars.forEach(({ title: name, values, ours }, row) => {
      body.push(text(left - 8, y + 14, name, { anchor: 'end', bold: ours }));
      let x = left;
      values.forEach((value, i) => {
        body.push(
          `<rect x="${x.toFixed(1)}" y="${y}" width="${(value * scale).toFixed(1)}" height="18" class="${ours ? 'ours' : 'other'}${shades[i]}"/>`,
        );
        x += value * scale;
      });
      body.push(text(x + 5, y + 14, sums[row]!.toFixed(1), { size: 11, bold: ours }));
      y += step;
    });
    y += 6;
  }
  return document(y + 6, title, note, body);
}

export interface Line {
  readonly title: string;
  readonly ours: boolean;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Axis {
  readonly title: string;
  readonly log: boolean;
  /** Where a line of the grid stands, and what it says. */
  readonly ticks: readonly (readonly [at: number, label: string])[];
}

/** Lines over two axes, each linear or logarithmic. */
export function lines(title: string, note: string, x: Axis, y: Axis, drawn: readonly Line[]): string {
  const plotLeft = 64;
  const plotRight = width - 310;
  const top = 76;
  const bottom = 356;
  const place = (axis: Axis, from: number, to: number) => {
    const of = (value: number) => (axis.log ? Math.log10(Math.max(value, 1e-9)) : value);
    const first = of(axis.ticks[0]![0]);
    const last = of(axis.ticks.at(-1)![0]);
    return (value: number) => from + ((of(value) - first) / (last - first)) * (to - from);
  };
  const atX = place(x, plotLeft, plotRight);
  const atY = place(y, bottom, top);
  const body: string[] = [];
  for (const [value, label] of x.ticks) {
    const at = atX(value).toFixed(1);
    body.push(`<line class="grid" x1="${at}" y1="${top}" x2="${at}" y2="${bottom}"/>`);
    body.push(text(atX(value), bottom + 16, label, { anchor: 'middle', size: 11 }));
  }
  for (const [value, label] of y.ticks) {
    const at = atY(value).toFixed(1);
    body.push(`<line class="grid" x1="${plotLeft}" y1="${at}" x2="${plotRight}" y2="${at}"/>`);
    body.push(text(plotLeft - 6, atY(value) + 4, label, { anchor: 'end', size: 11 }));
  }
  body.push(text((plotLeft + plotRight) / 2, bottom + 36, x.title, { anchor: 'middle', size: 11 }));
  body.push(text(plotLeft - 48, top - 8, y.title, { size: 11 }));
  // By what they end with, as the lines do: the highest first.
  const sorted = drawn.toSorted((a, b) => (b.points.at(-1)?.[1] ?? 0) - (a.points.at(-1)?.[1] ?? 0));
  sorted.forEach(({ title: name, ours, points }, i) => {
    const colour = ours ? 'var(--ours)' : palette[i % palette.length];
    const path = points
      .map(([px, py], n) => `${n === 0 ? 'M' : 'L'}${atX(px).toFixed(1)} ${atY(py).toFixed(1)}`)
      .join('');
    body.push(`<path d="${path}" style="fill:none;stroke:${colour};stroke-width:${ours ? 3 : 1.5}"/>`);
    for (const [px, py] of points)
      body.push(
        `<circle cx="${atX(px).toFixed(1)}" cy="${atY(py).toFixed(1)}" r="2.5" style="fill:${colour}"/>`,
      );
    body.push(
      `<rect x="${plotRight + 16}" y="${top + i * 20}" width="10" height="10" style="fill:${colour}"/>`,
    );
    body.push(text(plotRight + 31, top + i * 20 + 9, name, { size: 11, bold: ours }));
  });
  return document(bottom + 48, title, note, body);
}

/** Powers of ten that enclose some values, as ticks. */
export function decades(
  values: readonly number[],
  label: (value: number) => string,
): (readonly [number, string])[] {
  const positive = values.filter((value) => value > 0);
  const first = Math.floor(Math.log10(Math.min(...positive)));
  const last = Math.max(first + 1, Math.ceil(Math.log10(Math.max(...positive))));
  return Array.from(
    { length: last - first + 1 },
    (_, i) => [10 ** (first + i), label(10 ** (first + i))] as const,
  );
}

/** Round numbers from 0 to past the greatest value, as ticks. */
export function steps(greatest: number): (readonly [number, string])[] {
  const magnitude = 10 ** Math.floor(Math.log10(greatest / 4));
  const step =
    [1, 2, 5, 10].map((factor) => factor * magnitude).find((size) => size * 5 >= greatest) ?? greatest;
  const count = Math.ceil(greatest / step);
  return Array.from(
    { length: count + 1 },
    (_, i) => [i * step, String(Number((i * step).toPrecision(3)))] as const,
  );
}
