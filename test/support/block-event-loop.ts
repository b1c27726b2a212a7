import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { Registry } from 'prom-client';
import { watchEventLoop } from '../../core/event-loop/event-loop.ts';

/**
 * A process that blocks its event loop in one of several ways, says so on standard output, and prints its metrics as soon as
 * its standard input has a line.
 */
const registry = new Registry();
const watch = watchEventLoop({ registry, thresholdMs: Number(process.argv[3]) });

function countPrimesForEver(untilMs: number): number {
  let found = 0;
  for (let n = 2; performance.now() < untilMs; n++) {
    let prime = true;
    for (let divisor = 2; divisor * divisor <= n; divisor++) if (n % divisor === 0) prime = false;
    if (prime) found++;
  }
  return found;
}

function waitForNobody(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  for (let n = 0; n < 1000; n++) Math.sqrt(n);
}

const ways: Record<string, () => void | Promise<void>> = {
  loop: () => void countPrimesForEver(performance.now() + 1500),
  endless: () => void countPrimesForEver(Number.POSITIVE_INFINITY),
  // Again and again, until it is killed: on a busy machine the watcher may miss some.
  native: async () => {
    for (;;) {
      waitForNobody(800);
      await new Promise(setImmediate);
    }
  },
  idle: () => new Promise((resolve) => setTimeout(resolve, 1500)),
  short: () => void countPrimesForEver(performance.now() + 60),
};

setTimeout(async () => {
  const way = ways[process.argv[2]!]!;
  writeSync(1, '{"msg":"begin"}\n');
  await way();
  writeSync(1, '{"msg":"end"}\n');
  await once(process.stdin, 'data');
  process.stdin.destroy();
  writeSync(1, `${JSON.stringify({ msg: 'metrics', metrics: await registry.metrics() })}\n`);
  await watch.close();
}, 300);
