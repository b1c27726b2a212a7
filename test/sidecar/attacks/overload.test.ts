import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { exchange, RawClient } from '../../support/raw-http.ts';
import { sealedClient, sealedExchange } from '../../support/sealed-client.ts';
import { startTarget, type Target } from './target.ts';

/** Not one of fleet.yaml, as 127.0.0.1 is. */
const stranger = '127.0.0.9';

async function connectFrom(t: Test, port: number, address: string): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', localAddress: address, allowHalfOpen: false });
  socket.on('error', () => {});
  socket.resume();
  t.teardown(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** One call of main-backend on a sealed connection of its own. */
const call = (t: Test, { inbound, callerKey, signed }: Target) =>
  sealedExchange(t, inbound, callerKey, signed().bytes);

/** Sealed calls one after the other, on a connection each, until `over`. */
async function callAllTheWhile(t: Test, target: Target, over: Promise<unknown>): Promise<number[]> {
  const statuses: number[] = [];
  let ended = false;
  void over.finally(() => {
    ended = true;
  });
  do statuses.push((await call(t, target)).status);
  while (!ended);
  return statuses;
}

t.test('3,200 silent connections of one stranger: calls of a proven caller succeed', async (t) => {
  const target = await startTarget(t, 'enforcing', 'limits: { connections: 3000 }');
  const kept = await sealedClient(t, target.inbound, target.callerKey);
  kept.write(target.signed().bytes);
  t.equal((await kept.response()).status, 200);
  let closed = 0;
  const attack = (async () => {
    for (let round = 0; round < 32; round++) {
      const some = Array.from({ length: 100 }, () => connectFrom(t, target.inbound, stranger));
      for (const socket of await Promise.all(some)) socket.once('close', () => closed++);
    }
  })();
  const statuses = await callAllTheWhile(t, target, attack);
  t.strictSame([...new Set(statuses)], [200]);
  for (let i = 0; i < 20; i++) {
    t.equal((await call(t, target)).status, 200);
    t.equal(
      (await exchange(t, target.inbound, 'GET /api/health HTTP/1.1\r\nHost: npu-worker\r\n\r\n')).status,
      200,
    );
  }
  t.ok(closed >= 2_000, `the stranger has lost ${closed} of 3,200`);
  kept.write(target.signed().bytes);
  t.equal((await kept.response()).status, 200, 'a connection that was proven before stays');
  t.notOk(kept.closed);
});

t.test(
  '2,000 slow bodies on a public route end after ten seconds; a proven caller may be slow',
  async (t) => {
    const target = await startTarget(t);
    const head = 'POST /api/open HTTP/1.1\r\nHost: npu-worker\r\nContent-Length: 1000000\r\n\r\n';
    const proven = await sealedClient(t, target.inbound, target.callerKey);
    const { bytes } = target.signed({ method: 'POST', target: '/api/process', body: 'slow body' });
    proven.write(bytes.subarray(0, -1));
    const ends: Promise<unknown>[] = [];
    for (let round = 0; round < 20; round++) {
      const some = Array.from({ length: 100 }, async () => {
        const socket = await connectFrom(t, target.inbound, round % 2 === 0 ? stranger : '127.0.0.10');
        ends.push(once(socket, 'close'));
        socket.write(`${head}x`);
        const drip = setInterval(() => socket.write('x'), 1_000);
        socket.once('close', () => clearInterval(drip));
      });
      await Promise.all(some);
    }
    t.equal(ends.length, 2_000);
    const statuses = await callAllTheWhile(t, target, Promise.all(ends));
    t.strictSame([...new Set(statuses)], [200]);
    proven.write(bytes.subarray(-1));
    t.equal((await proven.response()).status, 200, 'the slow body of the proven caller is whole');
    t.notOk(target.app.requests.some(({ head }) => head.includes('/api/open')));
  },
);

t.test('limits hold for all workers together', async (t) => {
  const limits = 'workers: 2\nlimits: { connections: 300, unproven_connections: 200, per_address: 100 }';
  const target = await startTarget(t, 'enforcing', limits);
  let lost = 0;
  const { promise: atItsLimit, resolve } = Promise.withResolvers<void>();
  const connectOne = async () => {
    const socket = await connectFrom(t, target.inbound, stranger);
    socket.once('close', () => {
      lost++;
      if (lost === 300) resolve();
    });
  };
  await Promise.all(Array.from({ length: 400 }, connectOne));
  await atItsLimit;
  for (let i = 0; i < 20; i++) t.equal((await call(t, target)).status, 200);
  t.equal(lost, 300, 'the stranger keeps what one address may have');
});

t.test('a client that signs plain requests stays unproven: it has what one address may have', async (t) => {
  const target = await startTarget(
    t,
    'enforcing',
    'limits: { connections: 20, unproven_connections: 10, per_address: 3 }',
  );
  const plain: RawClient[] = [];
  for (let i = 0; i < 4; i++) {
    const client = new RawClient(await connectFrom(t, target.inbound, stranger));
    plain.push(client);
    client.write(target.signed().bytes);
    t.equal((await client.response()).status, 200);
  }
  await plain[0]?.end();
  t.pass('the fourth connection took the place of the first');
  t.equal((await call(t, target)).status, 200);
});

t.test('a first byte that begins neither a method nor a TLS record closes the connection', async (t) => {
  const target = await startTarget(t, 'enforcing', 'timeouts: { head: 10m, idle: 10m }');
  for (const first of ['\0', ' ', '{', '\x15', '\x17', '\x80', '\xff']) {
    const client = await RawClient.connect(t, target.inbound);
    client.write(first);
    t.equal(await client.end(), '', JSON.stringify(first));
  }
});

t.test('a slow body is refused with 408', async (t) => {
  const target = await startTarget(t);
  const client = await RawClient.connect(t, target.inbound);
  client.write('POST /api/open HTTP/1.1\r\nHost: npu-worker\r\nTransfer-Encoding: chunked\r\n\r\n');
  const drip = setInterval(() => client.write('1\r\nx\r\n'), 500);
  t.teardown(() => clearInterval(drip));
  const response = await client.response();
  t.strictSame([response.status, response.reason], [408, 'request-timeout']);
  t.match(response.body, /less than 1 KiB\/s/);
});
