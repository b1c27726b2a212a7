import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import type { Pauses, Times } from '../load/pause-watch.ts';
import { usualCall } from '../load/signer.ts';
import { callee } from '../peers/fleet.ts';
import { configure, startSidecar, underNode } from '../peers/our-sidecar.ts';
import type { Started } from '../processes.ts';
import type { Result, Subject } from '../subject.ts';

const watch = join(import.meta.dirname, '../load/pause-watch.ts');
const targetMs = 5;
/** So many that garbage is that of a busy sidecar, and that the event loop keeps up everywhere. */
const perSecond = 10_000;

/** The longest pauses under load: garbage collections, and what the event loop's timers had to wait for. */
export const pauses: Subject = {
  id: 'pauses',
  modes: ['quick', 'usual', 'full'],
  async run({ stage, mode }): Promise<Result> {
    const sidecars = await configure(await stage.place());
    const running = await startSidecar(sidecars, callee, stage.cores.measured, underNode('--import', watch));
    await stage.generators.open({
      port: sidecars.inboundPort,
      dialect: 'rfc9421',
      identity: stage.identity,
      call: usualCall,
      connections: 64,
      perSecond,
    });
    await delay(mode === 'quick' ? 500 : 2000);
    await pausesOf(running);
    await stage.generators.report();
    await delay(mode === 'quick' ? 1500 : 20_000);
    const { requests } = await stage.generators.report();
    const data = await pausesOf(running);
    await stage.generators.close();
    await running.stop();
    const { longest } = data.computing;
    return {
      id: 'pauses',
      table: {
        title: `Pauses at ${perSecond.toLocaleString('en')} requests/s, ms`,
        columns: ['what', 'times', 'over 1 ms', 'longest'],
        rows: [
          rowOf('collection of young objects', data.young),
          rowOf('collection of old objects', data.old),
          rowOf('timer of the event loop late', data.late),
          rowOf('computing between two runs of the timer', data.computing),
        ],
        notes: [
          `${requests} requests; the first three rows count the time in which the kernel lets others run, the last one what the thread itself has used at most`,
          `target: no pause of our own over ${targetMs} ms: ${longest <= targetMs ? 'reached' : 'missed'}, ${longest.toFixed(2)}`,
        ],
      },
      data: { ...data, requests },
    };
  },
};

/** What the process has seen since it was asked last. */
async function pausesOf({ child }: Started): Promise<Pauses> {
  const lines = createInterface({ input: child.stderr! });
  const said = new Promise<Pauses>((resolve, reject) => {
    lines.once('line', (line) => resolve(JSON.parse(line) as Pauses));
    lines.once('close', () => reject(new Error('the sidecar has ended')));
  });
  child.kill('SIGUSR2');
  return said.finally(() => lines.close());
}

function rowOf(what: string, { count, long, longest }: Times): string[] {
  return [what, String(count), String(long.length), count === 0 ? '' : longest.toFixed(2)];
}
