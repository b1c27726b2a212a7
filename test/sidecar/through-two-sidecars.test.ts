import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import t from 'tap';
import { exchange, RawClient } from '../support/raw-http.ts';
import { startPair } from './pair.ts';

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

async function bodyOf(message: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of message) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

const closed: string[] = [];
const waiting = new Map<string, () => void>();
const app = createServer((incoming: IncomingMessage, response: ServerResponse) => {
  void serve(incoming, response);
});
app.on('checkContinue', (incoming, response) => {
  if (incoming.url === '/refuses') {
    response.writeHead(417, { Connection: 'close' }).end('no');
    return;
  }
  response.writeContinue();
  void serve(incoming, response);
});

async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = incoming.url ?? '';
  response.on('close', () => {
    closed.push(path);
    waiting.get(path)?.();
  });
  if (path === '/echo') {
    const body = await bodyOf(incoming).catch(() => undefined);
    if (body === undefined) return;
    const seen = {
      method: incoming.method,
      headers: incoming.headers,
      trailers: incoming.trailers,
      bytes: body.length,
      sha256: sha256(body),
    };
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(seen));
  } else if (path === '/chunks') {
    response.writeHead(200, { Trailer: 'X-Sum' });
    for (const piece of ['one', 'two', 'three']) response.write(piece);
    response.addTrailers({ 'X-Sum': '3' });
    response.end();
  } else if (path === '/early-hints') {
    response.writeEarlyHints({ link: '</a.css>; rel=preload' });
    response.end('hinted');
  } else if (path === '/204') response.writeHead(204).end();
  else if (path === '/304') response.writeHead(304, { ETag: '"a"' }).end();
  else if (path === '/own-403') response.writeHead(403, { 'X-Service-Refusal': 'replayed' }).end('mine');
  else if (path === '/until-close') {
    response.useChunkedEncodingByDefault = false;
    response.shouldKeepAlive = false;
    response.writeHead(200, { Connection: 'close' });
    response.write('until ');
    response.end('close');
  } else if (path === '/events' || path === '/silent') {
    if (path === '/events') {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' });
      response.write('data: 1\n\n');
    }
  } else if (path === '/dies') incoming.socket.destroy();
  else if (path === '/dies-midway') {
    response.writeHead(200, { 'Content-Length': '100' });
    response.write('partial');
    setImmediate(() => incoming.socket.destroy());
  } else response.end(`${incoming.method} ${path} ${incoming.headers['x-service-id']}`);
}
await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
t.teardown(() => {
  app.close();
  app.closeAllConnections();
});
const appPort = (app.address() as { port: number }).port;
const pair = await startPair(t, appPort);
const host = 'Host: npu-worker\r\n';

interface Answer {
  status: number;
  headers: IncomingMessage['headers'];
  body: Buffer;
  trailers: IncomingMessage['trailers'];
}

function call(
  path: string,
  options: {
    method?: string;
    body?: Buffer;
    headers?: Record<string, string>;
    chunked?: boolean;
    port?: number;
  } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { method = 'GET', body, headers = {}, chunked = false, port = pair.outbound } = options;
    const length: Record<string, string> =
      body !== undefined && !chunked ? { 'Content-Length': String(body.length) } : {};
    const outgoing = request(
      { port, host: '127.0.0.1', method, path, headers: { Host: 'npu-worker', ...length, ...headers } },
      (response) => {
        bodyOf(response).then(
          (received) =>
            resolve({
              status: response.statusCode!,
              headers: response.headers,
              body: received,
              trailers: response.trailers,
            }),
          reject,
        );
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

t.test(
  'the callee is known from Host, from an absolute-form target, and from a route listener',
  async (t) => {
    t.equal((await call('/a')).body.toString(), 'GET /a main-backend');
    t.equal(
      (await call('http://npu-worker/b?c=d', { headers: { Host: 'proxy.example' } })).body.toString(),
      'GET /b?c=d main-backend',
    );
    t.equal(
      (await call('/e', { port: pair.route, headers: { Host: 'anything' } })).body.toString(),
      'GET /e main-backend',
    );
    const unknown = await call('/', { headers: { Host: 'nobody' } });
    t.equal(unknown.status, 502);
    t.match(JSON.parse(unknown.body.toString()), {
      reason: 'unknown-callee',
      detail: /nobody.*npu-worker, main-backend/,
    });
  },
);

t.test('bodies of every kind arrive whole and keep their length', async (t) => {
  for (const bytes of [0, 1, 1000, 70_000, 1_048_576, 1_048_577, 5_000_000]) {
    const body = randomBytes(bytes);
    for (const chunked of [false, true]) {
      const answer = await call('/echo', {
        method: 'POST',
        body,
        chunked,
        headers: { 'Content-Type': 'application/octet-stream' },
      });
      const seen = JSON.parse(answer.body.toString());
      t.equal(seen.sha256, sha256(body), `${bytes} bytes ${chunked ? 'chunked' : 'with their length'}`);
      if (!chunked && bytes > 0) t.equal(seen.headers['content-length'], String(bytes));
      t.equal(seen.headers['x-service-content-length'], undefined);
      t.same(seen.trailers, {});
    }
  }
});

t.test('bodies of many calls at once stay apart', async (t) => {
  for (let round = 0; round < 3; round++) {
    const bodies = Array.from({ length: 40 }, (_, i) =>
      randomBytes([900, 9_000, 66_000, 260_000][i % 4]! + i),
    );
    const answers = await Promise.all(bodies.map((body) => call('/echo', { method: 'POST', body })));
    t.same(
      answers.map(({ body }) => JSON.parse(body.toString()).sha256),
      bodies.map(sha256),
    );
  }
});

t.test('responses: chunks and trailers, 204, 304, HEAD, until close, early hints', async (t) => {
  const chunks = await call('/chunks');
  t.equal(chunks.body.toString(), 'onetwothree');
  t.match(chunks.trailers, { 'x-sum': '3' });
  t.equal((await call('/204')).status, 204);
  t.equal((await call('/304')).headers.etag, '"a"');
  const head = await call('/a', { method: 'HEAD' });
  t.equal(head.status, 200);
  t.equal(head.body.length, 0);
  t.equal((await call('/until-close')).body.toString(), 'until close');
  const client = await RawClient.connect(t, pair.outbound);
  client.write(`GET /early-hints HTTP/1.1\r\n${host}\r\n`);
  t.match((await client.response()).head, /^HTTP\/1\.1 200 /);
});

t.test('100 (Continue) comes from the app, and so does its refusal', async (t) => {
  const client = await RawClient.connect(t, pair.outbound);
  client.write(`POST /echo HTTP/1.1\r\n${host}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n`);
  t.match((await client.response()).head, /^HTTP\/1\.1 100 /);
  client.write('hello');
  t.match(
    JSON.parse(
      (await client.until((text) => text.includes('}')))
        .split('\r\n\r\n')[1]!
        .replace(/^[0-9a-f]+\r\n|\r\n.*$/gs, ''),
    ),
    { bytes: 5 },
  );
  const refused = await RawClient.connect(t, pair.outbound);
  refused.write(`POST /refuses HTTP/1.1\r\n${host}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n`);
  t.match(await refused.end(), /^HTTP\/1\.1 417 /);
});

t.test('HTTP/1.0 gets a body that ends with the connection, Connection: close is kept', async (t) => {
  const old = await RawClient.connect(t, pair.outbound);
  old.write(`GET /chunks HTTP/1.0\r\n${host}\r\n`);
  const text = await old.end();
  t.notMatch(text, /transfer-encoding/i);
  t.match(text, /\r\n\r\nonetwothree$/);
  const closing = await RawClient.connect(t, pair.outbound);
  closing.write(`GET /a HTTP/1.1\r\n${host}Connection: close\r\n\r\n`);
  t.match(await closing.end(), /Connection: close[\s\S]*GET \/a main-backend$/);
});

t.test('a client that half-closes is answered', async (t) => {
  const client = await RawClient.connect(t, pair.outbound);
  client.write(`GET /a HTTP/1.1\r\n${host}\r\n`);
  client.socket.end();
  t.match(await client.end(), /GET \/a main-backend$/);
});

t.test('each event leaves at once, and a client that goes away is seen by the app', async (t) => {
  for (const path of ['/events', '/silent']) {
    const gone = new Promise<void>((resolve) => waiting.set(path, resolve));
    const client = await RawClient.connect(t, pair.outbound);
    const arrived = once(app, 'request');
    client.write(`GET ${path} HTTP/1.1\r\n${host}\r\n`);
    if (path === '/events') t.match(await client.until((text) => text.includes('data: 1')), 'data: 1');
    else await arrived;
    client.socket.destroy();
    await gone;
    t.ok(closed.includes(path));
  }
});

t.test("the app's own 403 is not taken for a sidecar's", async (t) => {
  const answer = await call('/own-403');
  t.equal(answer.status, 403);
  t.equal(answer.headers['x-service-refusal'], undefined);
});

t.test('an app that breaks off: 502 before the answer, a broken connection within', async (t) => {
  const answer = await call('/dies');
  t.equal(answer.status, 502);
  t.equal(JSON.parse(answer.body.toString()).reason, 'upstream-failed');
  await t.rejects(call('/dies-midway'));
});

t.test('a keep-alive connection serves one request after another', async (t) => {
  const client = await RawClient.connect(t, pair.outbound);
  for (let n = 0; n < 50; n++) {
    client.write(`GET /n/${n} HTTP/1.1\r\n${host}\r\n`);
    t.match((await client.response()).body, `GET /n/${n} `);
  }
});

t.test('a WebSocket upgrade is spliced after its 101', async (t) => {
  app.once('upgrade', (incoming, socket, rest) => {
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello ${incoming.headers['x-service-id']} `,
    );
    socket.write(rest);
    socket.on('data', (piece: Buffer) => socket.write(piece));
    socket.on('end', () => socket.end());
    socket.on('error', () => {});
  });
  const client = await RawClient.connect(t, pair.outbound);
  client.write(
    `GET /ws HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
  );
  t.match(
    await client.until((text) => text.includes('hello main-backend')),
    /^HTTP\/1\.1 101 [\s\S]*hello main-backend/,
  );
  const big = randomBytes(300_000);
  client.received = Buffer.alloc(0);
  client.write(big);
  await client.until((text) => text.length >= big.length);
  t.equal(sha256(client.received), sha256(big));
  client.socket.end();
  await client.end();
});

t.test('SIGTERM ends a sidecar with 0 once its work is done', async (t) => {
  const open = await RawClient.connect(t, pair.outbound);
  open.write(`GET /events HTTP/1.1\r\n${host}\r\n`);
  await open.until((text) => text.includes('data: 1'));
  pair.callee.child.kill('SIGTERM');
  await pair.callee.said('handed over the replay memory');
  t.equal(pair.callee.child.exitCode, null, 'the stream is still served');
  open.socket.destroy();
  t.equal((await pair.callee.exited).code, 0);
  const refused = await exchange(t, pair.outbound, `GET /a HTTP/1.1\r\n${host}\r\n`);
  t.equal(refused.status, 502);
});
