import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { root } from './build.ts';
import { type Counts, countsOf, type Ended, minutesFor, type Step, steps } from './ci-steps.ts';

/** Runs one step; what it prints is passed on as it comes. */
async function run({ command: [program, ...words] }: Step, minutes: number): Promise<Ended> {
  if (minutes <= 0) return { code: null, cutOff: true, output: '' };
  // In a process group of its own, so that nothing which it started outlives it.
  const child = spawn(program, words, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let output = '';
  let cutOff = false;
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += String(chunk);
      process.stdout.write(chunk);
    });
  const kill = (signal: NodeJS.Signals) => {
    try {
      process.kill(-(child.pid as number), signal);
    } catch {
      // Nothing of the group is left.
    }
  };
  const limit = setTimeout(() => {
    cutOff = true;
    kill('SIGTERM');
    setTimeout(() => kill('SIGKILL'), 20_000).unref();
  }, minutes * 60_000);
  const [code] = (await once(child, 'close')) as [number | null];
  clearTimeout(limit);
  kill('SIGKILL');
  return { code, cutOff, output };
}

/** Runs every step and ends with `N passed, N failed[, N skipped]`, the sum of them all. */
async function main(): Promise<number> {
  // From the start of .ci/run, in seconds since the epoch: set-up counts as well.
  const startedAt = Number(process.env.CI_STARTED_AT ?? Math.floor(Date.now() / 1000));
  const total = { passed: 0, failed: 0, skipped: 0 };
  const problems: string[] = [];
  for (const step of steps) {
    const since = Date.now() / 1000;
    console.log(`\n=== ${step.name}`);
    const counts: Counts = countsOf(step, await run(step, minutesFor(step, (since - startedAt) / 60)));
    console.log(`=== ${step.name}: ${((Date.now() / 1000 - since) / 60).toFixed(1)} minutes`);
    for (const key of ['passed', 'failed', 'skipped'] as const) total[key] += counts[key];
    problems.push(...counts.problems);
  }
  console.log('');
  for (const problem of problems) console.log(`FAILED   ${problem}`);
  const skipped = total.skipped === 0 ? '' : `, ${total.skipped} skipped`;
  console.log(`${total.passed} passed, ${total.failed} failed${skipped}`);
  return total.failed === 0 && total.passed > 0 ? 0 : 1;
}

process.exitCode = await main();
