/**
 * What the core service costs: `npm run bench -- core`, which runs this program apart, on all cores of the machine. Needs
 * redis-server and PostgreSQL. Says what it finds, and at the end the whole as a line of JSON.
 */
import { streamedChunks } from './core/chunks.ts';
import { severalCores } from './core/cores.ts';
import type { Found } from './core/report.ts';
import { searchBeside } from './core/search.ts';
import { sessionLength } from './core/session-length.ts';
import { concurrentStreams } from './core/streams.ts';
import { turnOverhead } from './core/turn.ts';
import { windowBytes } from './core/window-bytes.ts';

const measurements: readonly (() => Promise<Found>)[] = [
  turnOverhead,
  windowBytes,
  streamedChunks,
  concurrentStreams,
  severalCores,
  () => sessionLength('sqlite'),
  () => sessionLength('postgres'),
  () => searchBeside('sqlite'),
  () => searchBeside('postgres'),
];

const found: Found[] = [];
for (const measure of measurements) {
  const one = await measure();
  for (const { what, value, note } of one.rows)
    console.log(`${what}: ${value}${note === '' ? '' : ` (${note})`}`);
  found.push(one);
}
console.log(
  JSON.stringify({
    rows: found.flatMap(({ rows }) => rows),
    targets: found.flatMap(({ targets }) => targets),
  }),
);
