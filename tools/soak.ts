import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { glob, readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { duration } from '../config/units.ts';
import { root } from './build.ts';

const usage = `npm run soak                 an hour of the tests that draw what they do, with new draws each time
npm run soak -- --for 10m    another time

Stops at the first failure; what failed prints its seed.`;

/** What makes a test draw anew each time it runs. */
const draws = /from 'fast-check'|askUntilAnswered|tampering-relay/;

async function main(words: string[]): Promise<number> {
  const { values } = parseArgs({
    args: words,
    options: { for: { type: 'string', default: '1h' }, help: { type: 'boolean', default: false } },
  });
  const forMs = duration.safeParse(values.for);
  if (values.help || !forMs.success) {
    console.log(
      values.help ? usage : `--for: found "${values.for}", expected a duration such as 10m\n${usage}`,
    );
    return values.help ? 0 : 64;
  }
  const files = await drawingTests();
  const until = performance.now() + forMs.data;
  let rounds = 0;
  do {
    const code = await run(files);
    if (code !== 0) {
      console.log(`${rounds} passed, 1 failed`);
      return 1;
    }
    rounds++;
    console.log(`round ${rounds}: ${files.length} files passed`);
  } while (performance.now() < until);
  console.log(`${rounds} passed, 0 failed`);
  return 0;
}

async function drawingTests(): Promise<string[]> {
  const files: string[] = [];
  for await (const file of glob('test/**/*.test.ts', { cwd: root, exclude: ['test/fleet/**'] }))
    if (draws.test(await readFile(`${root}/${file}`, 'utf8'))) files.push(file);
  return files.sort();
}

/** Runs test files as `npm test` does, up to the first failure. */
async function run(files: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, ['tools/test.ts', '--bail', ...files], {
    cwd: root,
    stdio: 'inherit',
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return code ?? 1;
}

process.exitCode = await main(process.argv.slice(2));
