import { connect as dial } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { onHead, rawApp } from '../../support/raw-app.ts';
import { exchange, RawClient } from '../../support/raw-http.ts';
import { startTarget } from '../attacks/target.ts';

const target = await startTarget(t);
const health = 'GET /api/health HTTP/1.1\r\nHost: npu-worker\r\n\r\n';
const chunked = (body: string) =>
  `POST /api/open HTTP/1.1\r\nHost: npu-worker\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;

t.test('a request behind a streamed body that came before the upstream was connected', async (t) => {
  const fresh = await startTarget(t);
  for (let round = 0; round < 5; round++) {
    const client = await RawClient.connect(t, fresh.inbound);
    client.write(chunked(`body ${round}`));
    t.equal((await client.response()).status, 200);
    client.write(health);
    t.equal((await client.response()).status, 200, 'the next head is read where heads are parsed');
    client.write(chunked('again'));
    t.equal((await client.response()).status, 200);
    client.write(health + health);
    t.equal((await client.response()).status, 200);
    t.equal((await client.response()).status, 200);
    client.socket.destroy();
  }
});

t.test('a client that takes its time after nobody was there for a while', async (t) => {
  const calm = await startTarget(t, 'enforcing', 'timeouts: { idle: 2s, head: 2s }');
  await delay(2_500);
  const client = await RawClient.connect(t, calm.inbound);
  await delay(600);
  client.write(health);
  t.equal((await client.response()).status, 200);
});

t.test('an answer is not cut short when its client reads slowly and the connection closes', async (t) => {
  const port = await rawApp(t, (socket) =>
    onHead(socket, (head) => {
      const length = Number(/health\?(\d+)/.exec(head)?.[1]);
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`);
      socket.end(Buffer.alloc(length, 'x'));
    }),
  );
  const { inbound } = await startTarget(t, 'enforcing', '', port);
  // How much the kernel takes is not known: of these lengths some end just behind it, in the sidecar's own buffers.
  const lengths = Array.from({ length: 40 }, (_, i) => 1_000_000 + i * 200_000);
  const received = await Promise.all(
    lengths.map(async (length) => {
      const socket = dial({ port: inbound, host: '127.0.0.1' });
      t.teardown(() => socket.destroy());
      socket.write(`GET /api/health?${length} HTTP/1.1\r\nHost: npu-worker\r\nConnection: close\r\n\r\n`);
      await delay(3_500);
      let bytes = 0;
      for await (const piece of socket) bytes += (piece as Buffer).length;
      return bytes >= length;
    }),
  );
  t.strictSame(
    received,
    lengths.map(() => true),
  );
});

t.test('a body of no bytes keeps its length', async (t) => {
  const before = target.app.requests.length;
  await exchange(
    t,
    target.inbound,
    'POST /api/open HTTP/1.1\r\nHost: npu-worker\r\nContent-Length: 0\r\n\r\n',
  );
  t.match(target.app.requests[before]?.head, /^Content-Length: 0\r?$/im);
});

t.test('pipelined requests, the last one half-closing', async (t) => {
  const client = await RawClient.connect(t, target.inbound);
  client.socket.end(health.repeat(50));
  const text = await client.end();
  t.equal(text.split('HTTP/1.1 200 OK').length - 1, 50, 'all are answered, and the connection closes');
});
