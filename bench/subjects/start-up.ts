import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { dist } from '../../tools/build.ts';
import { differences } from '../equal-work.ts';
import { cpuTime } from '../processes.ts';
import { median } from '../statistics.ts';
import { interleaved, type Result, type Subject } from '../subject.ts';
import { numberTarget } from '../targets.ts';
import { titleOf } from './grid.ts';

const us = 'countersign-inbound';
const cli = join(dist, 'countersign');
const versions = 20;

interface Data {
  readonly title: string;
  readonly ours: boolean;
  readonly ms: number[];
  /** CPU until the first right answer, ms. */
  readonly cpu: number[];
}

/** From starting the process to a right answer through it. */
export const startUp: Subject = {
  id: 'start-up',
  modes: ['quick', 'usual', 'full'],
  async run({ stage, entries, mode }): Promise<Result> {
    const data: Record<string, Data> = {};
    const measured = entries.filter(({ peer }) => peer.id !== 'bare' && peer.variant !== 'replays by nonce');
    await interleaved({ quick: 1, usual: 3, full: 9 }[mode], measured, async ({ peer }) => {
      const place = await stage.place();
      const startMs = performance.now();
      const running = await peer.start(place);
      // Without checks it is one request.
      const wrong = await differences({ ...peer, checks: false }, running.port, stage.identity);
      const ms = performance.now() - startMs;
      if (wrong.length > 0) throw new Error(`${peer.title}: ${wrong.join('; ')}`);
      data[peer.id] ??= { title: peer.title, ours: peer.ours === true, ms: [], cpu: [] };
      data[peer.id]!.ms.push(ms);
      const { user, system } = cpuTime(running.pids);
      data[peer.id]!.cpu.push((user + system) / 1000);
      await running.stop();
      await delay(20);
    });
    const version = versionCpuMs(mode === 'quick' ? 3 : versions);
    const megabytes = statSync(join(dist, 'countersign-enforcing')).size / 1e6;
    const rows = Object.values(data)
      .toSorted((a, b) => median(a.ms) - median(b.ms))
      .map((one) => [
        titleOf(one),
        median(one.ms).toFixed(0),
        `${Math.min(...one.ms).toFixed(0)}–${Math.max(...one.ms).toFixed(0)}`,
        median(one.cpu).toFixed(0),
      ]);
    return {
      id: 'start-up',
      table: {
        title: 'From start to the first right answer',
        columns: ['peer', 'ms', 'range', 'CPU ms'],
        rows,
        notes: [`the executable of a sidecar has ${megabytes.toFixed(0)} MB`],
        targets: [
          ...numberTarget('CPU of a sidecar until it serves', median(data[us]?.cpu ?? []), 130, 'ms'),
          ...numberTarget('CPU of countersign --version', version, 100, 'ms'),
          ...numberTarget('size of a sidecar', megabytes, 116, 'MB'),
        ],
      },
      data: { peers: data, versionCpuMs: version, megabytes },
    };
  },
};

/** CPU of one `countersign --version`: a shell runs it some times, and the kernel counts what its children used. */
function versionCpuMs(times: number): number {
  const script = `for i in $(seq ${times}); do "$0" --version >/dev/null || exit 1; done; exec cat /proc/$$/stat`;
  const { status, stdout } = spawnSync('bash', ['-c', script, cli], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${cli} --version failed`);
  const fields = stdout.slice(stdout.lastIndexOf(')') + 2).split(' ');
  const ticksMs = 10;
  return ((Number(fields[13]) + Number(fields[14])) * ticksMs) / times;
}
