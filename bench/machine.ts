import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import type { Cores } from './stage.ts';

/** What it ran on. */
export function machine(cores: Cores) {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryMiB: Math.round(totalmem() / 2 ** 20),
    kernel: release(),
    system: /^PRETTY_NAME="?([^"\n]+)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'unknown',
    node: process.versions.node,
    openssl: process.versions.openssl,
    pinning:
      cores.measured === undefined
        ? 'none'
        : `measured process on core ${cores.measured}, generators and app on ${cores.others}`,
    loadAverage: loadavg()[0],
  };
}

export type Machine = ReturnType<typeof machine>;
