import { createServer, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { PeerFailed } from '../../bench/load/generators.ts';
import { measure } from '../../bench/measure.ts';
import type { Peer } from '../../bench/peers/peer.ts';
import { start } from '../../bench/processes.ts';
import { RunningBench } from '../../bench/running-bench.ts';
import { Stage } from '../../bench/stage.ts';
import type { Result, Subject } from '../../bench/subject.ts';

const stage = await Stage.open();
t.teardown(() => stage.close());
const pace = { warmMs: 50, ms: 100 };

/** A peer that does with each connection what it is told, as a process of its own would. */
function peerOf(t: Test, id: string, serve: (socket: Socket) => void): Promise<Peer> {
  return new Promise((resolve) => {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket.on('error', () => {}));
      serve(socket);
    });
    t.teardown(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      const running = { port, pids: [process.pid], stop: async () => {} };
      resolve({
        id,
        title: `the ${id} one`,
        dialect: 'plain',
        checks: false,
        version: () => '1',
        start: async () => running,
      });
    });
  });
}

const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

t.test('a peer that answers is measured', async (t) => {
  const peer = await peerOf(t, 'good', (socket) => socket.on('data', () => socket.write(answer)));
  const sample = await measure(stage, peer, await stage.start(peer), pace);
  t.ok(sample.requests > 50);
  t.equal(sample.bad, 0);
});

for (const [id, serve, why] of [
  ['silent', () => {}, /^answered nothing$/],
  [
    'closing',
    (socket: Socket) => socket.on('data', () => socket.destroy()),
    /^answered nothing, and \d+ connections broke$/,
  ],
  [
    'refusing',
    (socket: Socket) => socket.on('data', () => socket.write('HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n')),
    /^\d+ of \d+ answers were not 2xx$/,
  ],
] as const)
  t.test(`a ${id} peer is said to have failed`, async (t) => {
    const peer = await peerOf(t, id, serve);
    const measured = measure(stage, peer, await stage.start(peer), pace);
    await t.rejects(measured, { name: 'PeerFailed', message: why, id });
  });

t.test('a peer that ends in the middle has a row that says so, and the others are measured', async (t) => {
  const good = await peerOf(t, 'good', (socket) => socket.on('data', () => socket.write(answer)));
  const program = `require('net').createServer((s) => s.on('error', () => {}).on('data', () => s.write(${JSON.stringify(answer)}))).listen(0, '127.0.0.1', function () { console.log('ready ' + this.address().port); })`;
  const { pid, said, stop } = await start(process.execPath, ['-e', program], {
    cores: undefined,
    ready: (line) => line.startsWith('ready '),
  });
  const dying = { port: Number(said.slice(6)), pids: [pid], stop };
  const entries = [
    { peer: { ...good, id: 'dying', title: 'the dying one' }, running: dying },
    { peer: good, running: await stage.start(good) },
  ];
  const subject: Subject = {
    id: 'anything',
    modes: ['usual'],
    async run(bench): Promise<Result> {
      const rows: string[][] = [];
      for (const { peer, running } of bench.entries) {
        const measured = measure(stage, peer, running, pace);
        if (running === dying) process.kill(pid, 'SIGKILL');
        rows.push([peer.title, (await measured).requests > 0 ? 'measured' : 'not']);
      }
      return { id: 'anything', table: { title: '', columns: ['peer', 'what'], rows, notes: [] }, data: {} };
    },
  };
  const said2: string[] = [];
  const say = (text: string) => void said2.push(text);
  const bench = new RunningBench({ mode: 'usual', stage, entries, pace: { rounds: 1, ...pace }, say }, [
    { title: 'the absent one', why: 'not installed' },
  ]);
  t.same((await bench.run(subject))?.table.rows, [
    ['the good one', 'measured'],
    ['the absent one', 'not installed'],
    ['the dying one', 'failed: its process has ended'],
  ]);
  t.same(bench.failures, ['anything: the dying one: its process has ended']);
  t.equal(said2.length, 1);
});

t.test('a subject that cannot be done at all does not end the bench', async (t) => {
  const bench = new RunningBench(
    { mode: 'usual', stage, entries: [], pace: { rounds: 1, ...pace }, say: () => {} },
    [],
  );
  const broken: Subject = {
    id: 'broken',
    modes: ['usual'],
    run: () => Promise.reject(new PeerFailed('no reason')),
  };
  t.equal(await bench.run(broken), undefined);
  t.same(bench.failures, ['broken: no reason']);
});
