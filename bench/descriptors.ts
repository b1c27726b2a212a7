import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Two for each of ten thousand connections, and some. */
const wanted = 24_000;

/** Lets this process, and what it starts from now on, open as many descriptors as the bench needs; root may. */
export function raiseDescriptors(): void {
  if (mostDescriptors() < wanted)
    spawnSync('prlimit', ['--pid', String(process.pid), `--nofile=${wanted}:${wanted}`]);
}

/** How many descriptors a process that we start may open. */
export function mostDescriptors(): number {
  const limit = /^Max open files +\d+ +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return Number(limit);
}

/** Connections that a proxy may serve with them: each needs one on either side. */
export function mostConnections(): number {
  return Math.floor((mostDescriptors() - 100) / 2);
}
