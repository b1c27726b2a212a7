import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Latencies } from '../load/latencies.ts';
import { Signer, usualCall } from '../load/signer.ts';
import type { Peer, RunningPeer } from '../peers/peer.ts';
import { cpuTime } from '../processes.ts';
import type { Stage } from '../stage.ts';
import { pick, type Result, type Subject } from '../subject.ts';

const ids = [
  'bare',
  'splice',
  'countersign-inbound',
  'haproxy-equal',
  'nginx-lua',
  'node-http-undici',
  'countersign-pair',
];
const count = 100;
const call = { ...usualCall, path: '/api/status/stream' };

interface Streamed {
  readonly title: string;
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
    const data: Record<string, Streamed> = {};
    for (const { peer, running } of pick(bench, ids))
      data[peer.id] = await stream(bench.stage, peer, running, bench.mode === 'quick' ? 700 : 4000);
    const rows = Object.values(data).map(({ title, events, cpuPerEvent, p50, p99 }) => [
      title,
      events.toFixed(0),
      Number.isFinite(cpuPerEvent) ? cpuPerEvent.toFixed(1) : '',
      p50.toFixed(0),
      p99.toFixed(0),
    ]);
    return {
      id: 'streams',
      table: {
        title: '100 concurrent SSE streams, 50 events a second each',
        columns: ['peer', 'events', 'CPU µs/event', 'delay p50 µs', 'delay p99 µs'],
        rows,
        notes: ['the delay is from the app writing an event to the client reading it'],
      },
      data,
    };
  },
};

async function stream(stage: Stage, peer: Peer, running: RunningPeer, ms: number): Promise<Streamed> {
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
  await delay(500);
  delays.clear();
  const before = cpuTime(running.pids);
  await delay(ms);
  const after = cpuTime(running.pids);
  const events = delays.total;
  for (const socket of sockets) socket.destroy();
  if (events === 0) throw new Error(`no event of a stream came through ${peer.title}`);
  return {
    title: peer.title,
    events,
    cpuPerEvent:
      running.pids.length === 0
        ? Number.NaN
        : (after.user + after.system - before.user - before.system) / events,
    p50: delays.quantile(0.5),
    p99: delays.quantile(0.99),
  };
}
