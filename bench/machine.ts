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
    /** Of the minute before the bench began: what other work it had to share the machine with. */
    loadAverage: loadavg()[0] ?? 0,
  };
}

export type Machine = ReturnType<typeof machine>;

/** Says so when others used the machine as well. */
export function busyNote({ loadAverage, cores }: Machine): string | undefined {
  if (loadAverage < cores / 2) return undefined;
  return `This machine was busy with other work (load average ${loadAverage.toFixed(1)} on ${cores} cores before the bench began): latencies and throughput mean little, CPU per request is higher than on an idle machine, and only ratios of one run can be compared.`;
}
