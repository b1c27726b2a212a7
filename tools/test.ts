import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { glob, stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { build, root } from './build.ts';

/** Processes that run from source start in half the time: Node keeps here what it has compiled, by the content of each file. */
const compileCache = join(root, 'node_modules/.cache/compiled');

/**
 * `npm test [-- FILES AND TAP OPTIONS]`: builds what the tests run, runs tap, and ends with `N passed, N failed`,
 * counting assertions. Its exit code is 0 only when tap's is and nothing failed.
 */
async function main(): Promise<number> {
  await build();
  const tap = spawn(
    process.execPath,
    [
      'node_modules/.bin/tap',
      `--jobs=${availableParallelism()}`,
      ...(await selection(process.argv.slice(2))),
    ],
    {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, NODE_COMPILE_CACHE: compileCache },
    },
  );
  let passed = 0;
  let failed = 0;
  const closed = once(tap, 'close') as Promise<[number | null]>;
  for await (const line of createInterface({ input: tap.stdout })) {
    // The last line of tap's own summary: `# { total: 12, pass: 11, fail: 1 }`
    if (line.startsWith('# { total: ')) {
      const count = (name: string) => Number(new RegExp(`${name}: (\\d+)`).exec(line)?.[1] ?? 0);
      passed = count('pass');
      failed = count('total') - passed - count('skip') - count('todo');
    }
    console.log(line);
  }
  const [code] = await closed;
  // A file that crashed or an empty selection fails the run even where no assertion did.
  if (code !== 0 && failed === 0) failed = 1;
  if (passed === 0 && failed === 0) failed = 1;
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

/** tap takes files: a folder stands for the tests in it. */
async function selection(words: readonly string[]): Promise<string[]> {
  const selected: string[] = [];
  for (const word of words) {
    const found = await stat(join(root, word)).catch(() => undefined);
    if (!found?.isDirectory()) selected.push(word);
    else for await (const file of glob(`${word}/**/*.test.ts`, { cwd: root })) selected.push(file);
  }
  return selected;
}

process.exitCode = await main();
