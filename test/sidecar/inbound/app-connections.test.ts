import type { Socket } from 'node:net';
import t from 'tap';
import { ok, onHead, rawApp } from '../../support/raw-app.ts';
import { exchange } from '../../support/raw-http.ts';
import { startTarget } from '../attacks/target.ts';

const call = (method: string, body = '') =>
  `${method} /api/${method === 'GET' ? 'health' : 'open'} HTTP/1.1\r\nHost: npu-worker\r\n${body}\r\n`;

/** An app that answers once on each connection, and closes it when it is used again. */
async function forgetful(test: Parameters<typeof rawApp>[0]) {
  const seen: string[] = [];
  const used = new Set<Socket>();
  const port = await rawApp(test, (socket) =>
    onHead(socket, (head) => {
      seen.push(head.slice(0, head.indexOf(' ')));
      if (used.has(socket)) socket.destroy();
      else socket.write(ok());
      used.add(socket);
    }),
  );
  return { seen, port };
}

t.test('an idempotent call on a connection that dies is sent again', async (t) => {
  const { seen, port } = await forgetful(t);
  const { inbound } = await startTarget(t, 'enforcing', '', port);
  t.equal((await exchange(t, inbound, call('GET'))).status, 200);
  t.equal((await exchange(t, inbound, call('GET'))).status, 200);
  t.strictSame(seen, ['GET', 'GET', 'GET']);
});

t.test('a POST is not: the app may have carried it out', async (t) => {
  const { seen, port } = await forgetful(t);
  const { inbound } = await startTarget(t, 'enforcing', '', port);
  t.equal((await exchange(t, inbound, call('GET'))).status, 200);
  t.equal((await exchange(t, inbound, call('POST', 'Content-Length: 0\r\n'))).status, 502);
  t.strictSame(seen, ['GET', 'POST']);
});

t.test('nor is any call on a new connection', async (t) => {
  let seen = 0;
  const port = await rawApp(t, (socket) =>
    onHead(socket, () => {
      seen++;
      socket.destroy();
    }),
  );
  const { inbound } = await startTarget(t, 'enforcing', '', port);
  t.equal((await exchange(t, inbound, call('GET'))).status, 502);
  t.equal(seen, 1);
});

t.test('what Connection names but the signature covers is refused', async (t) => {
  const { inbound, signed, app } = await startTarget(t);
  const covered = ['@method', '@authority', '@path', '@query', 'x-service-id', 'x-tenant'];
  const request = (connection: string) =>
    signed({ covered, fields: [['X-Tenant', 'a']] })
      .bytes.toString('latin1')
      .replace('Host:', `Connection: ${connection}\r\nHost:`);
  t.equal((await exchange(t, inbound, request('x-other'))).status, 200);
  t.match(app.requests.at(-1)?.head, /^X-Tenant: a\r?$/m);
  const before = app.bytes.length;
  t.equal((await exchange(t, inbound, request('X-Tenant'))).reason, 'malformed-request');
  t.equal(app.bytes.length, before);
});
