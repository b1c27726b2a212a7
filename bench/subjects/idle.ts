import { setTimeout as delay } from 'node:timers/promises';
import { mostConnections } from '../descriptors.ts';
import { usualCall } from '../load/signer.ts';
import { memoryOf } from '../processes.ts';
import { pick, type Result, type Subject } from '../subject.ts';
import { numberTarget } from '../targets.ts';
import { titleOf } from './grid.ts';

const ids = ['countersign-inbound', 'haproxy-equal', 'nginx-lua', 'node-http-undici', 'splice'];
const settleMs = 1500;
/** Those that need, or ask for, a descriptor on either side: here there may be too few for so many connections. */
const twoEach = new Set(['haproxy-equal', 'splice']);
const targetKiB = 4.5;

/** Memory of each connection that has made a call and now lies idle. */
export const idle: Subject = {
  id: 'idle',
  modes: ['quick', 'usual', 'full'],
  async run(bench): Promise<Result> {
    const { stage, mode } = bench;
    const data: Record<string, { title: string; connections: number; kibEach: number; before: number }> = {};
    for (const { peer } of pick(bench, ids)) {
      // A process of its own: what the others did before must not leave room in this one.
      const running = await stage.start(peer);
      const wanted = mode === 'quick' ? 1000 : 10_000;
      const connections = twoEach.has(peer.id) ? Math.min(wanted, mostConnections()) : wanted;
      const load = { port: running.port, dialect: peer.dialect, identity: stage.identity, call: usualCall };
      // The code and the buffers of a first batch are no connection's.
      await stage.generators.open({ ...load, connections: 200, perSecond: -1 });
      await stage.generators.close();
      await delay(settleMs / 3);
      const before = memoryOf(running.pids).resident;
      await stage.generators.open({ ...load, connections, perSecond: -1 });
      await delay(settleMs);
      const { open } = await stage.generators.report();
      const kibEach = (memoryOf(running.pids).resident - before) / 1024 / open;
      await stage.generators.close();
      await running.stop();
      data[peer.id] = { title: peer.title, connections: open, kibEach, before };
    }
    const ours = data['countersign-inbound'];
    const byMemory = Object.values(data).toSorted((a, b) => a.kibEach - b.kibEach);
    const rows = byMemory.map(({ title, connections, kibEach }) => [
      titleOf({ title, ours: title === ours?.title }),
      connections.toLocaleString('en'),
      kibEach.toFixed(1),
    ]);
    return {
      id: 'idle',
      table: {
        title: 'Memory of idle connections',
        columns: ['peer', 'connections', 'KiB each'],
        rows,
        notes: [],
        targets: numberTarget('memory of an idle connection', ours?.kibEach ?? Number.NaN, targetKiB, 'KiB'),
      },
      data,
    };
  },
};
