import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { PeerFailed } from '../load/generators.ts';
import { Latencies } from '../load/latencies.ts';
import { Signer, usualCall } from '../load/signer.ts';
import type { Peer, RunningPeer } from '../peers/peer.ts';
import { cpuTime } from '../processes.ts';
import type { Stage } from '../stage.ts';
import { compare, median, ratioText } from '../statistics.ts';
import { interleaved, pick, type Result, type Subject } from '../subject.ts';
import { titleOf } from './grid.ts';

const us = 'countersign-inbound';
const pair = 'countersign-pair';
const ids = ['bare', 'splice', us, 'haproxy-equal', 'nginx-lua', 'node-http-undici', pair, 'haproxy-pair'];
const count = 100;
const settleMs = 1500;
const call = { ...usualCall, path: '/api/status/stream' };

interface Sample {
  readonly events: number;
  readonly cpuPerEvent: number;
  /** µs */
  readonly p50: number;
}

/** 100 streams of server-sent events at once, 50 events a second each: how late each event is. */
export const streams: Subject = {
  id: 'streams',
  modes: ['quick', 'usual', 'full'],
  async run(bench): Promise<Result> {
    const { stage, mode } = bench;
    const entries = pick(bench, ids);
    const data: Record<string, { title: string; ours: boolean; samples: Sample[] }> = {};
    for (const { peer } of entries)
      data[peer.id] = { title: peer.title, ours: peer.ours === true, samples: [] };
    const rounds = { quick: 1, usual: 3, full: 5 }[mode];
    const ms = { quick: 400, usual: 1000, full: 4000 }[mode];
    await interleaved(rounds, entries, async ({ peer, running }) => {
      data[peer.id]!.samples.push(await stream(stage, peer, running, ms));
    });
    const costs = (id: string) => data[id]?.samples.map(({ cpuPerEvent }) => cpuPerEvent) ?? [];
    const cost = (id: string) => (id === 'bare' ? Number.POSITIVE_INFINITY : median(costs(id)));
    const rows = Object.entries(data)
      .toSorted(([a], [b]) => cost(a) - cost(b))
      .map(([id, { samples, ...of }]) => [
        titleOf(of),
        id === 'bare' ? '' : cost(id).toFixed(1),
        id === 'bare' || id === us || id === pair
          ? ''
          : ratioText(compare(costs(id === 'haproxy-pair' ? pair : us), costs(id))),
        (median(samples.map(({ p50 }) => p50)) / 1000).toFixed(2),
      ]);
    return {
      id: 'streams',
      table: {
        title: '100 concurrent SSE streams, 50 events a second each',
        columns: ['peer', 'CPU µs/event', 'ours / this', 'delay p50 ms'],
        rows,
        notes: [
          'the delay is from the app writing an event to the client reading it; ours / this: inbound, and the pair against a pair',
          'HAProxy runs with `option http-no-delay`, nginx without buffering: else they would hold events back',
        ],
      },
      data,
    };
  },
};

async function stream(stage: Stage, peer: Peer, running: RunningPeer, ms: number): Promise<Sample> {
  const signer = new Signer(peer.dialect, stage.identity, call);
  const delays = new Latencies();
  const sockets: Socket[] = [];
  for (let i = 0; i < count; i++) {
    const socket = connect({ port: running.port, host: '127.0.0.1', noDelay: true });
    let carry = '';
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      const now = (performance.timeOrigin + performance.now()) * 1000;
      const lines = (carry + chunk.latin1Slice(0, chunk.length)).split('\n');
      carry = lines.pop() ?? '';
      for (const line of lines) if (line.startsWith('data: ')) delays.record(now - Number(line.slice(6)));
    });
    socket.write(signer.head(), 'latin1');
    sockets.push(socket);
  }
  await delay(settleMs);
  delays.clear();
  const before = cpuTime(running.pids);
  await delay(ms);
  const after = cpuTime(running.pids);
  const events = delays.total;
  for (const socket of sockets) socket.destroy();
  if (events === 0) throw new PeerFailed('let no event of a stream through', peer.id);
  return {
    events,
    cpuPerEvent:
      running.pids.length === 0
        ? Number.NaN
        : (after.user + after.system - before.user - before.system) / events,
    p50: delays.quantile(0.5),
  };
}
