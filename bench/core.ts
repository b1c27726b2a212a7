/**
 * What the core service costs: `node bench/core.ts`. Needs redis-server. With `--write` the table goes into
 * docs/core.md.
 */
import { streamedChunks } from './core/chunks.ts';
import { type Row, toMarkdown, writeInto } from './core/report.ts';
import { sessionLength } from './core/session-length.ts';
import { concurrentStreams } from './core/streams.ts';
import { turnOverhead } from './core/turn.ts';
import { windowBytes } from './core/window-bytes.ts';

const rows: Row[] = [];
for (const measure of [turnOverhead, windowBytes, streamedChunks, concurrentStreams, sessionLength]) {
  const found = await measure();
  for (const { what, value, note } of found)
    console.log(`${what}: ${value}${note === '' ? '' : ` (${note})`}`);
  rows.push(...found);
}
if (process.argv.includes('--write')) {
  await writeInto(new URL('../docs/core.md', import.meta.url).pathname, toMarkdown(rows, new Date()));
}
