import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { usualCall } from '../load/signer.ts';
import { callee } from '../peers/fleet.ts';
import { configure, startSidecar } from '../peers/our-sidecar.ts';
import { cpuTime } from '../processes.ts';
import type { Result, Subject } from '../subject.ts';

const entry = join(import.meta.dirname, '../../sidecar/bin/enforcing.ts');
const targetMs = 5;

/** The longest pauses: garbage collections as V8 traces them, under load. */
export const pauses: Subject = {
  id: 'pauses',
  modes: ['quick', 'usual', 'full'],
  async run({ stage, mode }): Promise<Result> {
    const sidecars = await configure(await stage.place());
    const running = await startSidecar(sidecars, callee, stage.cores.measured, [
      process.execPath,
      '--trace-gc',
      entry,
    ]);
    const collections: { kind: string; ms: number }[] = [];
    createInterface({ input: running.child.stdout! }).on('line', (line) => {
      const found =
        /ms: (Scavenge|Mark-Compact)[^/]*?(?: \(.*?\))? [\d.]+ \([\d.]+\) -> [\d.]+ \([\d.]+\) MB, (?:pooled: [\d.]+ MB, )?([\d.]+) \/ /.exec(
          line,
        );
      if (found !== null) collections.push({ kind: found[1]!, ms: Number(found[2]) });
    });
    await stage.generators.open({
      port: sidecars.inboundPort,
      dialect: 'rfc9421',
      identity: stage.identity,
      call: usualCall,
      connections: 64,
      perSecond: 0,
    });
    await delay(mode === 'quick' ? 500 : 2000);
    collections.length = 0;
    await stage.generators.report();
    const before = cpuTime([running.pid]);
    await delay(mode === 'quick' ? 1500 : 10_000);
    const { requests } = await stage.generators.report();
    const after = cpuTime([running.pid]);
    await stage.generators.close();
    await running.stop();
    const rows = ['Scavenge', 'Mark-Compact'].map((kind) => {
      const ms = collections.filter((one) => one.kind === kind).map((one) => one.ms);
      const sum = ms.reduce((total, one) => total + one, 0);
      return [
        kind,
        String(ms.length),
        ms.length === 0 ? '' : Math.max(...ms).toFixed(2),
        ((1000 * sum) / requests).toFixed(2),
      ];
    });
    const longest = Math.max(0, ...collections.map(({ ms }) => ms));
    return {
      id: 'pauses',
      table: {
        title: 'Garbage collection under load',
        columns: ['kind', 'collections', 'longest ms', 'µs/req'],
        rows,
        notes: [
          `${requests} requests, ${((after.user - before.user) / requests).toFixed(1)} µs of user time each`,
          `target ≤ ${targetMs} ms: ${longest <= targetMs ? 'reached' : 'missed'}, ${longest.toFixed(2)} ms`,
        ],
      },
      data: { collections, requests },
    };
  },
};
