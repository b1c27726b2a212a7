import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import type { Pauses, Times } from '../load/pause-watch.ts';
import { usualCall } from '../load/signer.ts';
import { callee } from '../peers/fleet.ts';
import { configure, startSidecar, underNode } from '../peers/our-sidecar.ts';
import type { Started } from '../processes.ts';
import type { Stage } from '../stage.ts';
import type { Result, Subject } from '../subject.ts';
import { numberTarget } from '../targets.ts';

const watch = join(import.meta.dirname, '../load/pause-watch.ts');
const targetMs = 5;
const closingTargetMs = 20;
const settleMs = 1500;
/** So many that garbage is that of a busy sidecar, and that the event loop keeps up everywhere. */
const perSecond = 10_000;

/** The longest pauses under load: garbage collections, and what the event loop's timers had to wait for. */
export const pauses: Subject = {
  id: 'pauses',
  modes: ['quick', 'usual', 'full'],
  async run({ stage, mode }): Promise<Result> {
    const further = 'limits: { unproven_connections: 12000, per_address: 12000 }';
    const sidecars = await configure(await stage.place(), { further });
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
    const closing = await closedAtOnce(
      stage,
      sidecars.inboundPort,
      running,
      mode === 'quick' ? 1000 : 10_000,
    );
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
          rowOf(
            `the same while ${closing.connections.toLocaleString('en')} connections close at once`,
            closing.pauses.computing,
          ),
        ],
        notes: [
          `${requests} requests; the first three rows count the time in which the kernel lets others run, the last one what the thread itself has used at most`,
        ],
        targets: [
          ...numberTarget('longest pause of our own', longest, targetMs, 'ms'),
          ...numberTarget(
            'longest pause while 10,000 connections close at once',
            closing.pauses.computing.longest,
            closingTargetMs,
            'ms',
          ),
        ],
      },
      data: { ...data, requests, closing },
    };
  },
};

/** Opens connections that each make a call, and closes all of them in one moment. */
async function closedAtOnce(
  { generators, identity }: Stage,
  port: number,
  running: Started,
  connections: number,
) {
  await generators.open({ port, dialect: 'rfc9421', identity, call: usualCall, connections, perSecond: -1 });
  await delay(settleMs);
  await pausesOf(running);
  await generators.close();
  await delay(settleMs);
  return { connections, pauses: await pausesOf(running) };
}

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
