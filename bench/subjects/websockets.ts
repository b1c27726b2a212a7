import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { PeerFailed } from '../load/generators.ts';
import { answerBytes, request } from '../load/messages.ts';
import { type Call, Signer, usualCall } from '../load/signer.ts';
import type { Peer, RunningPeer } from '../peers/peer.ts';
import { cpuTime } from '../processes.ts';
import type { Stage } from '../stage.ts';
import { compare, median, ratioText } from '../statistics.ts';
import { interleaved, pick, type Result, type Subject } from '../subject.ts';
import { titleOf } from './grid.ts';

const us = 'countersign-inbound';
const pair = 'countersign-pair';
const ids = ['splice', us, 'haproxy-equal', pair, 'haproxy-pair'];
const connections = 64;
const warmMs = 300;
const openLimitMs = 10_000;
const call: Call = { ...usualCall, path: '/api/status/websocket', fields: 14, webSocket: true };

interface Sample {
  readonly perSecond: number;
  readonly cpu: number;
}

/** Messages through WebSockets: on each of 64 a message goes when the one before has been answered. */
export const webSockets: Subject = {
  id: 'websockets',
  modes: ['quick', 'usual', 'full'],
  async run(bench): Promise<Result> {
    const { stage, mode } = bench;
    const data: Record<string, { title: string; ours: boolean; samples: Sample[] }> = {};
    const entries = pick(bench, ids);
    for (const { peer } of entries)
      data[peer.id] = { title: peer.title, ours: peer.ours === true, samples: [] };
    const ms = mode === 'quick' ? 300 : 1500;
    await interleaved({ quick: 1, usual: 5, full: 9 }[mode], entries, async ({ peer, running }) => {
      data[peer.id]!.samples.push(await exchange(stage, peer, running, ms));
    });
    const costs = (id: string) => data[id]?.samples.map(({ cpu }) => cpu) ?? [];
    const rows = Object.entries(data)
      .toSorted(([a], [b]) => median(costs(a)) - median(costs(b)))
      .map(([id, { samples, ...of }]) => [
        titleOf(of),
        median(samples.map(({ perSecond }) => perSecond)).toFixed(0),
        median(costs(id)).toFixed(1),
        id === us || id === pair
          ? ''
          : ratioText(compare(costs(id === 'haproxy-pair' ? pair : us), costs(id))),
      ]);
    return {
      id: 'websockets',
      table: {
        title: `WebSockets: messages of 100 bytes and their answers, ${connections} connections`,
        columns: ['peer', 'messages/s', 'CPU µs/message', 'ours / this'],
        rows,
        notes: ['a message and its answer count as one; ours / this: inbound, and the pair against a pair'],
      },
      data,
    };
  },
};

async function exchange(stage: Stage, peer: Peer, running: RunningPeer, ms: number): Promise<Sample> {
  const signer = new Signer(peer.dialect, stage.identity, call);
  let messages = 0;
  const sockets = await Promise.all(
    Array.from({ length: connections }, () =>
      open(running.port, signer.head(), peer.id, () => {
        messages++;
      }),
    ),
  );
  for (const socket of sockets) socket.write(request);
  await delay(warmMs);
  messages = 0;
  const startMs = performance.now();
  const before = cpuTime(running.pids);
  await delay(ms);
  const after = cpuTime(running.pids);
  const counted = messages;
  const seconds = (performance.now() - startMs) / 1000;
  for (const socket of sockets) socket.destroy();
  if (counted === 0) throw new PeerFailed('let no message of a WebSocket through', peer.id);
  return {
    perSecond: counted / seconds,
    cpu: (after.user + after.system - before.user - before.system) / counted,
  };
}

/** @throws {PeerFailed} when the peer does not switch protocols */
function open(port: number, head: string, id: string, onMessage: () => void): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    let bytes = 0;
    const onData = (chunk: Buffer) => {
      bytes += chunk.length;
      for (; bytes >= answerBytes; bytes -= answerBytes) {
        onMessage();
        socket.write(request);
      }
    };
    let answer = '';
    socket.setTimeout(openLimitMs, () => socket.destroy(new PeerFailed('did not answer an upgrade', id)));
    const onHead = (chunk: Buffer) => {
      answer += chunk.latin1Slice();
      if (!answer.includes('\r\n\r\n')) return;
      socket.off('data', onHead);
      socket.setTimeout(0);
      if (answer.startsWith('HTTP/1.1 101')) {
        socket.on('data', onData);
        resolve(socket);
      } else reject(new PeerFailed(`answered an upgrade with ${answer.slice(9, 12)}`, id));
    };
    socket.on('data', onHead);
    socket.on('error', reject);
    socket.on('connect', () => socket.write(head, 'latin1'));
  });
}
