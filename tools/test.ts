import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { glob, mkdir, stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { build, root } from './build.ts';
import { type FileResult, readTestRun } from './test-run.ts';
import { fileLine, summarize, summaryLines } from './test-summary.ts';

/** Processes that run from source start in half the time: Node keeps here what it has compiled, by the content of each file. */
const compileCache = join(root, 'node_modules/.cache/compiled');
/** All that the runner said, as TAP. */
const wholeOutput = join(root, '.tap/run.tap');

const usage = `npm test                                  every test file
npm test -- test/sidecar/policy           the files of a folder
npm test -- test/core/main.test.ts        one file
npm test -- --bail                        stop at the first failure; other options of tap work as well
npm test -- --second-try                  run what failed once more, alone, and tell it as flaky if it passes`;

/**
 * `npm test [-- FILES, FOLDERS AND TAP OPTIONS]`: builds what the tests run, runs them, and ends with
 * `N passed, N failed[, N skipped]`, counting assertions. The exit code is 0 only when every selected file ran to its end
 * and nothing failed.
 */
async function main(words: string[]): Promise<number> {
  if (words.includes('--help')) {
    console.log(usage);
    return 0;
  }
  const secondTry = words.includes('--second-try');
  const options = words.filter((word) => word.startsWith('-') && word !== '--second-try' && word !== '--');
  const files = await selection(words.filter((word) => !word.startsWith('-')));
  await build();
  const results = new Map<string, FileResult>();
  let cutOff = await runFiles(files, [`--jobs=${availableParallelism()}`, ...options], results);
  const flaky: string[] = [];
  const failed = files.filter((file) => results.get(file)?.failures.length !== 0);
  // When much has failed, a second try would take as long as the first and tell nothing.
  if (secondTry && failed.length > 0 && failed.length <= 12) {
    console.log(`\n${failed.length} of ${files.length} files once more, alone`);
    for (const file of failed) results.delete(file);
    cutOff = await runFiles(failed, ['--jobs=1', ...options], results);
    flaky.push(...failed.filter((file) => results.get(file)?.failures.length === 0));
  }
  const run = { expected: files, results, flaky, cutOff };
  console.log(summaryLines(run).join('\n'));
  return summarize(run).failed === 0 ? 0 : 1;
}

/** Runs test files; resolves with why the runner ended before all of them had, if it did. */
async function runFiles(
  files: readonly string[],
  options: readonly string[],
  results: Map<string, FileResult>,
): Promise<string | undefined> {
  if (files.length === 0) return undefined;
  await mkdir(join(root, '.tap'), { recursive: true });
  const tap = spawn(process.execPath, ['node_modules/.bin/tap', '--reporter=tap', ...options, ...files], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_COMPILE_CACHE: compileCache },
  });
  const closed = once(tap, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  const copy = new PassThrough();
  const copied = pipeline(copy, createWriteStream(wholeOutput, { mode: 0o600 }));
  const board = new Board(files.length);
  tap.stdout.on('data', (chunk: Buffer) => copy.write(chunk));
  tap.stdout.on('end', () => copy.end());
  await readTestRun(tap.stdout, (result) => {
    results.set(result.file, result);
    board.show(result);
  });
  board.end();
  const [code, signal] = await closed;
  await copied;
  if (signal !== null) return `the test runner was ended by ${signal}`;
  const clean = files.every((file) => results.get(file)?.failures.length === 0);
  return code !== 0 && clean ? `the test runner ended with exit code ${code}` : undefined;
}

/** What a person sees while tests run: on a terminal one live line, elsewhere a line a file. */
class Board {
  readonly #total: number;
  readonly #live = process.stdout.isTTY === true;
  readonly #since = performance.now();
  #done = 0;
  #passed = 0;

  constructor(total: number) {
    this.#total = total;
  }

  show(result: FileResult): void {
    this.#done++;
    this.#passed += result.passed;
    if (!this.#live || result.failures.length > 0) this.#line(fileLine(result));
    if (!this.#live) return;
    const seconds = Math.round((performance.now() - this.#since) / 1000);
    const text = `${this.#done}/${this.#total} files, ${this.#passed} passed, ${seconds} s  ${result.file}`;
    process.stdout.write(`\r\x1b[K${text.slice(0, (process.stdout.columns ?? 80) - 1)}`);
  }

  #line(text: string): void {
    process.stdout.write(`${this.#live ? '\r\x1b[K' : ''}${text}\n`);
  }

  end(): void {
    if (this.#live) process.stdout.write('\r\x1b[K');
  }
}

/** The files that words name; without words, every test file there is. A folder stands for the tests in it. */
async function selection(words: readonly string[]): Promise<string[]> {
  const selected = new Set<string>();
  for (const word of words.length > 0 ? words : ['test']) {
    const found = await stat(join(root, word)).catch(() => undefined);
    if (!found?.isDirectory()) selected.add(word);
    else for await (const file of glob(`${word}/**/*.test.ts`, { cwd: root })) selected.add(file);
  }
  return [...selected].filter((file) => !file.startsWith('test/fleet/')).sort();
}

process.exitCode = await main(process.argv.slice(2));
