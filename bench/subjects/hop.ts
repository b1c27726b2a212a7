import { setTimeout as delay } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { sealedConnection } from '../load/sealed-connection.ts';
import { Signer, usualCall } from '../load/signer.ts';
import { startPair } from '../peers/countersign-pair.ts';
import { cpuTime, memoryOf } from '../processes.ts';
import type { Stage } from '../stage.ts';
import { median } from '../statistics.ts';
import type { Result, Subject } from '../subject.ts';
import { numberTarget } from '../targets.ts';

const limits = 'limits: { unproven_connections: 12000, per_address: 12000 }';
const settleMs = 1500;
const openedTogether = 50;
const minute = 60;

type Pair = Awaited<ReturnType<typeof startPair>>;

/** What a sealed connection costs to make and to keep, and how seldom a busy pair makes one. */
export const hop: Subject = {
  id: 'hop',
  modes: ['quick', 'usual', 'full'],
  async run({ stage, mode }): Promise<Result> {
    const running = await startPair(await stage.place(), undefined, { further: limits });
    try {
      const handshake = await handshakes(stage, running, mode === 'quick' ? 50 : 400);
      const idle = await idleConnections(stage, running, mode === 'quick' ? 200 : 2000);
      const busy = await busyPair(stage, running, mode === 'quick' ? 500 : 10_000);
      return {
        id: 'hop',
        table: {
          title: 'A sealed connection',
          columns: ['what', 'found'],
          rows: [
            ['handshake, from dialling to the proven peer, p50', `${handshake.ms.toFixed(2)} ms`],
            ['CPU of inbound for a connection: accept, handshake, close', `${handshake.cpu.toFixed(0)} µs`],
            ['memory of inbound for an idle connection that has made a call', `${idle.toFixed(1)} KiB`],
            ['handshakes of a busy pair, 64 calls in flight', `${busy.toFixed(1)} a minute`],
          ],
          notes: [],
          targets: [
            ...numberTarget('handshake p50', handshake.ms, 1.5, 'ms'),
            ...numberTarget('memory of an idle sealed connection', idle, 40, 'KiB'),
            ...numberTarget('handshakes of a busy pair', busy, 1, 'a minute'),
          ],
        },
        data: { handshake, idle, busy },
      };
    } finally {
      await running.stop();
    }
  },
};

/** One after the other. */
async function handshakes({ identity }: Stage, { inboundPort, pids }: Pair, count: number) {
  const times: number[] = [];
  let before = cpuTime(pids);
  const warm = Math.ceil(count / 4);
  for (let i = 0; i < count + warm; i++) {
    if (i === warm) before = cpuTime(pids);
    const startMs = performance.now();
    const socket = await sealedConnection(inboundPort, identity);
    if (i >= warm) times.push(performance.now() - startMs);
    socket.destroy();
  }
  const after = cpuTime(pids);
  return { ms: median(times), cpu: (after.user + after.system - before.user - before.system) / count };
}

/** KiB of inbound for each connection. */
async function idleConnections(
  { identity }: Stage,
  { inboundPort, pids }: Pair,
  count: number,
): Promise<number> {
  const signer = new Signer('rfc9421', identity, usualCall);
  const inbound = pids.slice(1);
  const openAll = async (wanted: number) => {
    const sockets: TLSSocket[] = [];
    while (sockets.length < wanted)
      sockets.push(
        ...(await Promise.all(
          Array.from({ length: Math.min(openedTogether, wanted - sockets.length) }, () =>
            used(inboundPort, identity, signer),
          ),
        )),
      );
    return sockets;
  };
  // The code and the buffers of a first batch are no connection's.
  for (const socket of await openAll(Math.ceil(count / 10))) socket.destroy();
  await delay(settleMs / 3);
  const before = memoryOf(inbound).resident;
  const sockets = await openAll(count);
  await delay(settleMs);
  const kib = (memoryOf(inbound).resident - before) / 1024 / count;
  for (const socket of sockets) socket.destroy();
  return kib;
}

/** A sealed connection on which one call has been answered. */
async function used(port: number, identity: Stage['identity'], signer: Signer): Promise<TLSSocket> {
  const socket = await sealedConnection(port, identity);
  const answered = new Promise<void>((resolve, reject) => {
    socket.once('data', () => resolve());
    socket.once('close', () => reject(new Error('a sealed connection closed without an answer')));
  });
  socket.write(signer.head(), 'latin1');
  await answered;
  return socket;
}

/** Handshakes a minute while 64 connections call as fast as they are answered. */
async function busyPair(
  { generators, identity }: Stage,
  { port, adminPort }: Pair,
  ms: number,
): Promise<number> {
  await generators.open({ port, dialect: 'plain', identity, call: usualCall, connections: 64, perSecond: 0 });
  await delay(settleMs);
  const before = await handshakesSoFar(adminPort);
  const startMs = performance.now();
  await delay(ms);
  const made = (await handshakesSoFar(adminPort)) - before;
  const seconds = (performance.now() - startMs) / 1000;
  await generators.close();
  return (made / seconds) * minute;
}

async function handshakesSoFar(adminPort: number): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  return [...text.matchAll(/^countersign_handshakes_total\{[^}]*\} (\d+)/gm)].reduce(
    (sum, [, n]) => sum + Number(n),
    0,
  );
}
