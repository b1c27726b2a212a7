import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { PeerFailed } from '../load/generators.ts';
import { Latencies } from '../load/latencies.ts';
import { Signer, usualCall } from '../load/signer.ts';
import type { Peer, RunningPeer } from '../peers/peer.ts';
import { cpuTime } from '../processes.ts';
import type { Stage } from '../stage.ts';
import { compare, median, ratioText, spread } from '../statistics.ts';
import { interleaved, pick, type Result, type Subject } from '../subject.ts';

const us = 'countersign-inbound';
const ids = ['bare', 'splice', us, 'haproxy-equal', 'nginx-lua', 'node-http-undici', 'countersign-pair'];
const count = 100;
const settleMs = 500;
const call = { ...usualCall, path: '/api/status/stream' };

interface Sample {
  readonly events: number;
  readonly cpuPerEvent: number;
  readonly p50: number;
  readonly p99: number;
}

/** 100 streams of server-sent events at once, 50 events a second each: how late each event is. */
export const streams: Subject = {
  id: 'streams',
  modes: ['quick', 'usual', 'full'],
  async run(bench): Promise<Result> {
    const { stage, mode } = bench;
    const entries = pick(bench, ids);
    const data: Record<string, { title: string; samples: Sample[] }> = {};
    for (const { peer } of entries) data[peer.id] = { title: peer.title, samples: [] };
    const rounds = { quick: 1, usual: 3, full: 5 }[mode];
    const ms = { quick: 400, usual: 1000, full: 4000 }[mode];
    await interleaved(rounds, entries, async ({ peer, running }) => {
      data[peer.id]!.samples.push(await stream(stage, peer, running, ms));
    });
    const ours = data[us]?.samples.map(({ cpuPerEvent }) => cpuPerEvent) ?? [];
    const rows = Object.entries(data).map(([id, { title, samples }]) => {
      const of = (key: keyof Sample) => median(samples.map((sample) => sample[key]));
      const costs = samples.map(({ cpuPerEvent }) => cpuPerEvent);
      return [
        title,
        of('events').toFixed(0),
        Number.isFinite(of('cpuPerEvent')) ? of('cpuPerEvent').toFixed(1) : '',
        id === us ? '' : ratioText(compare(ours, costs)),
        of('p50').toFixed(0),
        of('p99').toFixed(0),
        `${(100 * spread(samples.map(({ p99 }) => p99))).toFixed(0)} %`,
      ];
    });
    return {
      id: 'streams',
      table: {
        title: '100 concurrent SSE streams, 50 events a second each',
        columns: [
          'peer',
          'events',
          'CPU µs/event',
          'inbound / this',
          'delay p50 µs',
          'delay p99 µs',
          'spread of p99',
        ],
        rows,
        notes: ['the delay is from the app writing an event to the client reading it'],
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
    p99: delays.quantile(0.99),
  };
}
