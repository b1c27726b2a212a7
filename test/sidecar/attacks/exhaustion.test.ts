import { execFileSync } from 'node:child_process';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { onHead, rawApp } from '../../support/raw-app.ts';
import { exchange, RawClient } from '../../support/raw-http.ts';
import { residentBytes } from '../../support/resident.ts';
import { sealedClient } from '../../support/sealed-client.ts';
import { startTarget } from './target.ts';

const MiB = 1024 * 1024;
const health = 'GET /api/health HTTP/1.1\r\nHost: npu-worker\r\n\r\n';

t.test('10,000 idle connections: bounded memory, and the sidecar serves on', async (t) => {
  const limits = 'limits: { connections: 12000, unproven_connections: 12000, per_address: 12000 }';
  const { inbound, sidecar } = await startTarget(t, 'enforcing', limits);
  t.equal((await exchange(t, inbound, health)).status, 200);
  const before = await residentBytes(sidecar.child.pid!);
  const clients: RawClient[] = [];
  for (let round = 0; round < 40; round++) {
    const some = Array.from({ length: 250 }, () => RawClient.connect(t, inbound));
    clients.push(...(await Promise.all(some)));
  }
  for (const client of clients) client.write('GET /api/he');
  const since = performance.now();
  t.equal((await exchange(t, inbound, health)).status, 200);
  t.ok(performance.now() - since < 2_000);
  const each = ((await residentBytes(sidecar.child.pid!)) - before) / clients.length;
  t.ok(each < 4.5 * 1024, `${Math.round(each)} bytes a connection`);
  t.equal(clients.filter((client) => client.closed).length, 0);
  for (const client of clients) client.socket.destroy();
});

t.test('a flood past the limit is turned away, proven peers stay served', async (t) => {
  const { inbound, sidecar, signed, callerKey } = await startTarget(
    t,
    'enforcing',
    'limits: { connections: 20 }',
  );
  const served: RawClient[] = [];
  for (let i = 0; i < 20; i++) {
    const client = await sealedClient(t, inbound, callerKey);
    client.write(signed().bytes);
    t.equal((await client.response()).status, 200);
    served.push(client);
  }
  const flood = await Promise.all(
    Array.from({ length: 500 }, async () => {
      const client = await RawClient.connect(t, inbound);
      const response = await client.response();
      await client.end();
      return response;
    }),
  );
  t.strictSame(
    [...new Set(flood.map(({ status, reason }) => `${status} ${reason}`))],
    ['503 too-many-connections'],
  );
  for (const client of served) {
    client.write(health);
    t.equal((await client.response()).status, 200);
  }
  const sticky = await RawClient.connect(t, inbound);
  const drip = setInterval(() => sticky.write('x'), 50);
  t.teardown(() => clearInterval(drip));
  await new Promise((resolve) => sticky.socket.once('close', resolve));
  t.pass('bytes do not keep a turned-away connection alive');
  served[0]!.socket.destroy();
  for (let status = 503; status !== 200; ) ({ status } = await exchange(t, inbound, health));
  t.equal(sidecar.child.exitCode, null);
});

t.test('clients that send requests and read nothing', async (t) => {
  const body = 'x'.repeat(100_000);
  const port = await rawApp(t, (socket) =>
    onHead(socket, () => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    }),
  );
  const { inbound, sidecar } = await startTarget(t, 'enforcing', '', port);
  t.equal((await exchange(t, inbound, health)).status, 200);
  const before = await residentBytes(sidecar.child.pid!);
  for (let i = 0; i < 20; i++) {
    const client = await RawClient.connect(t, inbound);
    client.socket.pause();
    client.write(health.repeat(20_000));
  }
  await delay(2_000);
  const growth = (await residentBytes(sidecar.child.pid!)) - before;
  t.ok(growth < 200 * MiB, `${Math.round(growth / MiB)} MiB for 40 GB of answers that nobody takes`);
  t.equal((await exchange(t, inbound, health)).status, 200);
});

t.test('a chunk extension without end', async (t) => {
  const { inbound, app } = await startTarget(t);
  const client = await RawClient.connect(t, inbound);
  client.write('POST /api/open HTTP/1.1\r\nHost: npu-worker\r\nTransfer-Encoding: chunked\r\n\r\n5;');
  const flood = 'x'.repeat(64 * 1024);
  const more = () => {
    while (!client.closed && client.socket.write(flood)) {}
  };
  client.socket.on('drain', more);
  more();
  t.equal((await client.response()).reason, 'malformed-request');
  client.socket.destroy();
  t.equal(app.requests.length, 0);
});

t.test('as many descriptors as there are: those that are served stay served', async (t) => {
  const { inbound, sidecar } = await startTarget(t);
  const client = await RawClient.connect(t, inbound);
  client.write(health);
  t.equal((await client.response()).status, 200);
  execFileSync('prlimit', ['--pid', String(sidecar.child.pid), '--nofile=60:60']);
  const flood: Socket[] = [];
  for (let i = 0; i < 100; i++) flood.push((await RawClient.connect(t, inbound)).socket);
  client.write(health);
  t.equal((await client.response()).status, 200);
  for (const socket of flood) socket.destroy();
  let status = 0;
  while (status !== 200) ({ status } = await exchange(t, inbound, health));
  t.equal(sidecar.child.exitCode, null);
});
