import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { root } from './build.ts';

const columns = 104;
const rows = 30;
const lineHeight = 18;
const characterWidth = 8.1;
const padding = 16;
/** How long the picture stands still before a step, before a command, and at the end. */
const pauseMs = { step: 4_000, command: 1_500, end: 6_000 };
const mostBytes = 60 * 1024;

/**
 * Records the demo for README.md: `node tools/demo-recording.ts [OUTPUT]` plays it, or takes what an earlier
 * `npm run demo -- --yes` printed into the file OUTPUT, and writes docs/demo.svg.
 */
async function main(output: string | undefined): Promise<void> {
  const text = output === undefined ? await play() : await readFile(output, 'utf8');
  const svg = recording(linesOf(text));
  if (svg.length > mostBytes)
    throw new Error(`found a recording of ${svg.length} bytes, expected ${mostBytes} at most`);
  await writeFile(join(root, 'docs/demo.svg'), svg);
}

async function play(): Promise<string> {
  const demo = spawn(process.execPath, [join(root, 'sidecar/local/demo.ts'), '--yes'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  demo.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  const [code] = await once(demo, 'close');
  if (code !== 0) throw new Error(`the demo ended with exit code ${code}`);
  return text;
}

/** Without the console's token, and with each sidecar named once; long lines are cut. */
function linesOf(text: string): string[] {
  return stripVTControlCharacters(text)
    .trimEnd()
    .replace(/#token=\S+/, '#token=…')
    .replace(/( --from \S+){2,}/g, ' --from …')
    .split('\n')
    .map((line) => (line.length > columns ? `${line.slice(0, columns - 1)}…` : line));
}

/** An animated picture of a terminal that scrolls from step to step. */
function recording(lines: readonly string[]): string {
  const height = rows * lineHeight + 2 * padding;
  const width = Math.ceil(columns * characterWidth) + 2 * padding;
  const shown = lines.map((line, at) => {
    const y = (at + 1) * lineHeight;
    const kind = line.startsWith('$ ') ? ' class="c"' : /^\d\. /.test(line) ? ' class="s"' : '';
    return line === '' ? '' : `<text y="${y}"${kind}>${escaped(line)}</text>\n`;
  });
  const { frames, durationMs } = scrolling(lines);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">
<title>npm run demo</title>
<style>
text{font:13px ui-monospace,Menlo,Consolas,monospace;fill:#d0d7de;white-space:pre}
.c{fill:#79c0ff}.s{fill:#fff;font-weight:bold}
#l{animation:scroll ${durationMs / 1000}s step-end infinite}
@keyframes scroll{${frames}}
</style>
<rect width="100%" height="100%" rx="8" fill="#0d1117"/>
<svg x="${padding}" y="${padding}" width="${width - 2 * padding}" height="${rows * lineHeight}">
<title>What it prints</title>
<g id="l">
${shown.join('')}</g>
</svg>
</svg>
`;
}

/** Everything up to the next step or command appears at once. */
function scrolling(lines: readonly string[]): { readonly frames: string; readonly durationMs: number } {
  const stops: { readonly atMs: number; readonly line: number }[] = [];
  let now = 0;
  for (const [at, line] of lines.entries()) {
    const isStep = /^\d\. /.test(line);
    if (at === 0 || !(isStep || line.startsWith('$ '))) continue;
    stops.push({ atMs: now, line: at });
    now += isStep ? pauseMs.step : pauseMs.command;
  }
  stops.push({ atMs: now, line: lines.length });
  const durationMs = now + pauseMs.end;
  const frames = stops.map(({ atMs, line }) => {
    const percent = ((100 * atMs) / durationMs).toFixed(2);
    return `${percent}%{transform:translateY(${(rows - line) * lineHeight}px)}`;
  });
  return { frames: frames.join(''), durationMs };
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}

await main(process.argv[2]);
