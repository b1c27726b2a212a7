/** SVG plots without a library: light and dark alike, by the colours of the page around them. */

const width = 760;
const left = 230;
const right = 60;
const palette = [
  '#2f6fb3',
  '#d9822b',
  '#3a9a5b',
  '#b5464a',
  '#7a5fb0',
  '#8c6d46',
  '#c05f9a',
  '#5f8f9a',
  '#8f8f2a',
  '#444444',
  '#1fa2a2',
  '#a03080',
];

const escaped = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

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
<style>svg{background:#fff}text{font-family:system-ui,sans-serif;fill:#222}.axis{stroke:#999;stroke-width:1}.grid{stroke:#ddd;stroke-width:1}</style>
${text(16, 24, title, { size: 15, bold: true })}
${text(16, 42, note, { size: 11 })}
${body.join('\n')}
</svg>
`;
}

export interface Bar {
  readonly title: string;
  /** In the order of the legend. */
  readonly values: readonly number[];
}

/** Horizontal bars, each the sum of its parts. */
export function stackedBars(
  title: string,
  note: string,
  legend: readonly string[],
  bars: readonly Bar[],
): string {
  const top = 78;
  const step = 28;
  const sums = bars.map(({ values }) => values.reduce((sum, value) => sum + value, 0));
  const scale = (width - left - right) / Math.max(...sums);
  const body = legend.flatMap((name, i) => {
    const x = 16 + i * Math.min(150, (width - 32) / legend.length);
    return [
      `<rect x="${x}" y="54" width="10" height="10" fill="${palette[i % palette.length]}"/>`,
      text(x + 14, 63, name, { size: 11 }),
    ];
  });
  bars.forEach(({ title: name, values }, row) => {
    const y = top + row * step;
    body.push(text(left - 8, y + 15, name, { anchor: 'end' }));
    let x = left;
    values.forEach((value, i) => {
      body.push(
        `<rect x="${x.toFixed(1)}" y="${y}" width="${(value * scale).toFixed(1)}" height="20" fill="${palette[i % palette.length]}"/>`,
      );
      x += value * scale;
    });
    body.push(text(x + 5, y + 15, sums[row]!.toFixed(1), { size: 11 }));
  });
  return document(top + bars.length * step + 12, title, note, body);
}

export interface Line {
  readonly title: string;
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
  const plotRight = width - 240;
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
  drawn.forEach(({ title: name, points }, i) => {
    const colour = palette[i % palette.length];
    const path = points
      .map(([px, py], n) => `${n === 0 ? 'M' : 'L'}${atX(px).toFixed(1)} ${atY(py).toFixed(1)}`)
      .join('');
    body.push(`<path d="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`);
    for (const [px, py] of points)
      body.push(`<circle cx="${atX(px).toFixed(1)}" cy="${atY(py).toFixed(1)}" r="2.5" fill="${colour}"/>`);
    body.push(`<rect x="${plotRight + 16}" y="${top + i * 20}" width="10" height="10" fill="${colour}"/>`);
    body.push(text(plotRight + 31, top + i * 20 + 9, name, { size: 11 }));
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
