import t from 'tap';
import { onHead, rawApp } from '../../support/raw-app.ts';
import { exchange, RawClient } from '../../support/raw-http.ts';
import { residentBytes } from '../../support/resident.ts';
import { startTarget } from './target.ts';

const MiB = 1024 * 1024;
const health = 'GET /api/health HTTP/1.1\r\nHost: npu-worker\r\n\r\n';
const short = 'timeouts: { head: 1s, idle: 1s, response: 2s, drain: 2s }';

t.test('endless interim responses, with a client that reads and one that does not', async (t) => {
  const early = 'HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n'.repeat(1_000);
  const port = await rawApp(t, (socket) => {
    socket.once('data', () => {
      const more = () => {
        while (!socket.destroyed && socket.write(early)) {}
      };
      socket.on('drain', more);
      more();
    });
  });
  const { inbound, sidecar } = await startTarget(t, 'enforcing', short, port);
  const before = await residentBytes(sidecar.child.pid!);
  const stalled = await RawClient.connect(t, inbound);
  stalled.socket.pause();
  stalled.write(health);
  const reading = await RawClient.connect(t, inbound);
  reading.socket.removeAllListeners('data');
  let last = '';
  reading.socket.on('data', (piece: Buffer) => {
    last = (last + piece.toString('latin1')).slice(-2_000);
  });
  reading.write(health);
  await reading.end();
  t.match(last, /HTTP\/1\.1 504 Gateway Timeout/, 'the answer itself has to come in time');
  const growth = (await residentBytes(sidecar.child.pid!)) - before;
  t.ok(growth < 64 * MiB, `${Math.round(growth / MiB)} MiB`);
});

t.test('apps that answer with garbage', async (t) => {
  let answer = '';
  const port = await rawApp(t, (socket) => onHead(socket, () => socket.write(answer, 'latin1')));
  const { inbound, sidecar } = await startTarget(t, 'enforcing', short, port);
  const many = Array.from({ length: 1_001 }, (_, i) => `X-${i}: y\r\n`).join('');
  for (const [garbage, status] of [
    ['SSH-2.0-OpenSSH_10.0\r\n\r\n', 502],
    ['HTTP/2.0 200 OK\r\n\r\n', 502],
    ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!', 502],
    ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 502],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n', 502],
    ['HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: Content-Length\r\n\r\nok', 502],
    ['HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\nok', 502],
    ['HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok', 502],
    ['HTTP/1.1 101 Switching Protocols\r\n\r\n', 502],
    [`HTTP/1.1 200 OK\r\nX: ${'y'.repeat(300_000)}\r\nContent-Length: 2\r\n\r\nok`, 502],
    [`HTTP/1.1 200 OK\r\n${many}Content-Length: 2\r\n\r\nok`, 502],
    ['\0'.repeat(300_000), 502],
    ['HTTP/1.1 200 OK\nContent-Length: 2\n\nok', 504],
    ['HTTP/1.1 200 OK\r\nContent-Len', 504],
  ] as const) {
    answer = garbage;
    const response = await exchange(t, inbound, health);
    t.equal(response.status, status, JSON.stringify(garbage.slice(0, 60)));
    t.match(response.head, /^X-Service-Refusal: upstream-/m);
  }
  t.equal(sidecar.child.exitCode, null);
});

t.test('an answer that is more than was asked for does not become the next one', async (t) => {
  const port = await rawApp(t, (socket) =>
    onHead(socket, (head) => {
      const two = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison';
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n${head.slice(16, 20)}${two}`);
    }),
  );
  const { inbound } = await startTarget(t, 'enforcing', '', port);
  const client = await RawClient.connect(t, inbound);
  for (const name of ['1111', '2222', '3333']) {
    client.write(health.replace('health', `health?${name}`));
    t.equal((await client.response()).body, name);
  }
});
