import fc from 'fast-check';
import t from 'tap';
import { authorityOf } from '../../../sidecar/http1/authority.ts';
import { connectionOptions } from '../../../sidecar/http1/connection-options.ts';
import { identify } from '../../../sidecar/http1/field-identity.ts';
import { dropTable } from '../../../sidecar/http1/field-lines.ts';
import { frameRequest, frameResponse } from '../../../sidecar/http1/framing.ts';
import { parseRequestHead, parseResponseHead } from '../../../sidecar/http1/head-parser.ts';
import { assemblyBuffer } from '../../../sidecar/http1/llhttp.ts';
import {
  disguisedId,
  fieldId,
  fieldNames,
  foldedName,
  isIdentityName,
} from '../../../sidecar/terms/field-names.ts';

/** What the rules make of a request head, or the reason for which they refuse it. */
function framed(text: string, proxy = false) {
  const head = parseRequestHead(assemblyBuffer, 0, assemblyBuffer.write(text, 'latin1'), 100);
  if ('error' in head) return 'unparsable';
  return frameRequest(head, proxy)?.reason ?? head.keep();
}

function request(line: string, ...fields: string[]) {
  return `${line}\r\n${['Host: a', ...fields].map((field) => `${field}\r\n`).join('')}\r\n`;
}

t.test('the authority of a Host', async (t) => {
  for (const [host, authority] of [
    ['npu-worker', 'npu-worker'],
    ['NPU-Worker:80', 'npu-worker'],
    ['npu-worker:', 'npu-worker'],
    ['npu-worker:8080', 'npu-worker:8080'],
    ['[::1]:15006', '[::1]:15006'],
    ['', undefined],
    ['a b', undefined],
    ['a,b', undefined],
    ['user@a', undefined],
    ['a:b', undefined],
    ['a:65536', undefined],
    ['a:80:80', undefined],
    ['a/b', undefined],
    ['[::1', undefined],
    ['a\u00e9', undefined],
  ] as const)
    t.equal(authorityOf(host), authority, host);
  // What is remembered of one says nothing of another.
  for (let i = 0; i < 3000; i++) t.equal(authorityOf(`Host-${i % 1500}:80`), `host-${i % 1500}`);
});

t.test('Connection', async (t) => {
  t.match(connectionOptions('close'), { close: true, keepAlive: false, named: undefined });
  t.match(connectionOptions(' Keep-Alive ,, UPGRADE'), { keepAlive: true, upgrade: true, named: undefined });
  t.strictSame([...(connectionOptions('close, X-Hop , te').named ?? [])], ['x-hop', 'te']);
  for (const name of [
    'Host',
    'Content-Length',
    'cookie',
    'X-Service-ID',
    'x_service_id',
    'Authorization',
    'Signature',
  ])
    t.equal(connectionOptions(`close, ${name}`).endToEnd, name.toLowerCase());
});

t.test('each known field has its number, in any case, and disguises are seen', async (t) => {
  const numberOf = (name: string) =>
    identify(assemblyBuffer.byteOffset, assemblyBuffer.write(name, 'latin1'));
  for (const [id, name] of fieldNames.entries()) {
    if (id === 0) continue;
    t.equal(numberOf(name), id);
    t.equal(numberOf(name.toUpperCase()), id);
    for (let i = 0; i < name.length; i++)
      for (const other of '!._') {
        const changed = `${name.slice(0, i)}${other}${name.slice(i + 1)}`;
        const folded = foldedName(changed);
        const isDisguise = folded === name || isIdentityName(folded);
        t.equal(numberOf(changed), isDisguise ? disguisedId : 0, changed);
      }
  }
  for (const name of [
    'X_Service_ID',
    'x-service_id',
    'X-Service-Admin',
    'Content_Length',
    'X.Service~',
    'X-SERVICE!X',
  ])
    t.equal(numberOf(name), disguisedId, name);
  for (const name of ['X-Services', 'Accept', 'X_Trace', 'X-Service', 'XX-Service-ID', '-X-Service-ID', 'x'])
    t.equal(numberOf(name), 0, name);
});

t.test('targets', async (t) => {
  t.match(framed(request('GET /a/%2e?b?c HTTP/1.1')), {
    path: '/a/%2e',
    query: '?b?c',
    originForm: '/a/%2e?b?c',
  });
  t.match(framed(request('GET http://A?x HTTP/1.1')), {
    path: '/',
    query: '?x',
    originForm: '/?x',
    authority: 'a',
  });
  t.match(framed(request('GET http://b:81/x HTTP/1.1'), true), { authority: 'b:81', originForm: '/x' });
  t.match(framed(request('OPTIONS * HTTP/1.1')), { path: '*', query: '?' });
  for (const target of ['http://b/', 'https://a/', 'http://u@a/', 'http://', '*', 'a', '/a#b', 'http:/a'])
    t.equal(
      framed(request(`GET ${target} HTTP/1.1`)),
      target === 'http:/a' || target === 'a'
        ? framed(request(`GET ${target} HTTP/1.1`))
        : 'malformed-request',
      target,
    );
});

t.test('bodies', async (t) => {
  t.match(framed(request('POST / HTTP/1.1')), { body: 'none', hasBody: false });
  t.match(framed(request('POST / HTTP/1.1', 'Content-Length: 0')), { body: 'length', hasBody: false });
  t.match(framed(request('POST / HTTP/1.1', 'Content-Length: 007')), { body: 'length', contentLength: 7 });
  t.match(framed(request('POST / HTTP/1.1', 'Transfer-Encoding: Chunked')), {
    body: 'chunked',
    hasBody: true,
  });
  for (const fields of [
    ['Content-Length: 1', 'Content-Length: 1'],
    ['Content-Length: 1, 1'],
    ['Content-Length: +1'],
    ['Content-Length: 0x1'],
    ['Content-Length: 1000000000000000'],
    ['Content-Length: 1', 'Transfer-Encoding: chunked'],
    ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'],
    ['Transfer-Encoding: gzip, chunked'],
    ['Transfer-Encoding: chunked;q=1'],
  ])
    t.match(
      framed(request('POST / HTTP/1.1', ...fields)),
      /^(?:malformed-request|unparsable)$/,
      fields.join(),
    );
  t.equal(framed(request('POST / HTTP/1.0', 'Transfer-Encoding: chunked')), 'malformed-request');
});

t.test('Content-Length is one number of at most 15 digits, or the message is refused', async (t) => {
  const value = fc.oneof(
    fc.nat().map(String),
    fc.string({ unit: fc.constantFrom(...'0123456789'), maxLength: 18 }),
    fc.string({ unit: fc.constantFrom(...'019 ,+-.ex/:'), maxLength: 4 }),
  );
  let accepted = 0;
  fc.assert(
    fc.property(value, (text) => {
      const number = /^\d{1,15}$/.test(text.trim()) ? Number(text) : undefined;
      const head = framed(request('POST / HTTP/1.1', `Content-Length: ${text}`));
      if (typeof head !== 'string') accepted++;
      const received = typeof head === 'string' ? undefined : head.contentLength;
      if (received !== number) throw new Error(`${text}: ${received}`);
    }),
    { numRuns: 2000 },
  );
  t.ok(accepted > 100, `${accepted} are accepted`);
});

t.test('a copy says all that the head said, whatever comes after it', async (t) => {
  const parsed = (text: string) => {
    const head = parseRequestHead(assemblyBuffer, 0, assemblyBuffer.write(text, 'latin1'), 100);
    if ('error' in head || frameRequest(head, false) !== undefined) throw new Error(text);
    return head;
  };
  const said = (head: ReturnType<typeof parsed>) => ({
    ...Object.fromEntries(
      Object.entries(head).filter(([name]) => !['offsets', 'ids', 'firstOf', 'countOf'].includes(name)),
    ),
    known: fieldNames.map((_, id) => head.known(id)),
    lines: Array.from({ length: head.fieldCount }, (_, i) => [head.name(i), head.value(i)]),
    kept: head.keptLines(dropTable('cookie'), head.hopByHop),
  });
  const texts = [
    request(
      'POST http://a/b?c HTTP/1.1',
      'Content-Length: 5',
      'Expect: 100-continue',
      'Connection: close, x-a',
    ),
    request(
      'GET /a HTTP/1.1',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Cookie: a=1',
      'X_A: b',
      'Cookie: b',
    ),
    'GET / HTTP/1.0\r\n\r\n',
  ];
  for (const text of texts) {
    const head = parsed(text);
    const before = said(head);
    const copy = head.keep();
    parsed(request('PUT /other HTTP/1.1', 'Transfer-Encoding: chunked', 'Range: bytes=0-', 'Host-: x'));
    t.strictSame(said(copy), before, text);
    t.strictSame(said(copy.keep()), before, `a copy of it: ${text}`);
  }
});

t.test('a head has nothing of the one before it, whole or broken', async (t) => {
  const known = (head: ReturnType<typeof framed>) =>
    typeof head === 'string' ? head : fieldNames.filter((_, id) => head.known(id) !== undefined);
  t.strictSame(known(framed(request('GET / HTTP/1.1', 'Cookie: a', 'X-A_B: c', 'Range: b'))), [
    'host',
    'cookie',
    'range',
  ]);
  t.strictSame(known(framed(request('GET / HTTP/1.1', 'Cookie: a', 'Cookie: a'))), ['host', 'cookie']);
  t.equal(framed(request('GET / HTTP/1.1', 'Range: a', 'Expect: b', 'TE : c')), 'unparsable');
  t.strictSame(known(framed(request('GET / HTTP/1.1'))), ['host']);
  const many = Array.from({ length: 101 }, () => 'Cookie: a');
  t.equal(framed(request('GET / HTTP/1.1', 'Range: a', ...many)), 'unparsable');
  t.strictSame(known(framed('GET / HTTP/1.0\r\n\r\n')), []);
});

t.test('the method is the one that stands there', async (t) => {
  for (const method of ['GET', 'PUT', 'POST', 'HEAD', 'PATCH', 'DELETE', 'OPTIONS', 'PURGE', 'QUERY', 'LOCK'])
    t.match(framed(request(`${method} / HTTP/1.1`)), { method });
  for (const line of ['\nGET / HTTP/1.1', '\rGET / HTTP/1.1', '\r\n\nGET / HTTP/1.1', 'GET  / HTTP/1.1'])
    t.equal(framed(request(line)), 'malformed-request', JSON.stringify(line));
});

t.test('connections', async (t) => {
  t.match(framed(request('GET / HTTP/1.1')), { close: false });
  t.match(framed(request('GET / HTTP/1.1', 'Connection: close')), { close: true });
  t.match(framed(request('GET / HTTP/1.0')), { close: true });
  t.match(framed(request('GET / HTTP/1.0', 'Connection: keep-alive')), { close: false });
  const upgrade = ['Connection: Upgrade', 'Upgrade: WebSocket'];
  t.match(framed(request('GET / HTTP/1.1', ...upgrade)), { upgrade: true });
  t.match(framed(request('POST / HTTP/1.1', ...upgrade)), { upgrade: false });
  t.match(framed(request('GET / HTTP/1.1', 'Connection: Upgrade', 'Upgrade: h2c')), { upgrade: false });
  t.match(framed(request('GET / HTTP/1.1', 'Upgrade: websocket')), { upgrade: false });
});

t.test('the parts of a target, as they are signed and as they are asked for', async (t) => {
  for (const [target, path, query, originForm] of [
    ['/', '/', '?', '/'],
    ['/a', '/a', '?', '/a'],
    ['/a?', '/a', '?', '/a?'],
    ['/a?b=c?d', '/a', '?b=c?d', '/a?b=c?d'],
    ['/?', '/', '?', '/?'],
    ['http://a', '/', '?', '/'],
    ['http://a?b', '/', '?b', '/?b'],
    ['HTTP://A:80/b?c', '/b', '?c', '/b?c'],
  ] as const)
    t.match(
      framed(request(`GET ${target} HTTP/1.1`)),
      { target, path, query, originForm, authority: 'a' },
      target,
    );
  t.match(framed(request('OPTIONS * HTTP/1.1')), { path: '*', query: '?', originForm: '*', authority: 'a' });
  t.match(framed(request('GET http://b/x HTTP/1.1'), true), { authority: 'b' }, 'a proxy heeds the target');
  t.equal(framed(request('GET http://b/x HTTP/1.1')), 'malformed-request', 'a server wants both to agree');
});

t.test('what Connection names ends at this hop', async (t) => {
  const head = framed(request('GET / HTTP/1.1', 'Connection: X-Hop, keep-alive'));
  if (typeof head === 'string') throw new Error(head);
  t.strictSame([...(head.hopByHop ?? [])], ['x-hop']);
  t.match(framed(request('GET / HTTP/1.1')), { hopByHop: undefined });
});

t.test('a length is one number of at most 15 digits', async (t) => {
  const length = (value: string) => framed(request('POST / HTTP/1.1', `Content-Length: ${value}`));
  for (const value of ['0', '7', '007', '999999999999999', '000000000000001'])
    t.match(length(value), { body: 'length', contentLength: Number(value) }, value);
  for (const value of ['', '-1', '+1', '1 1', '1,1', '0x1', '1e3', '1000000000000000', '/', ':', '1:'])
    t.type(length(value), 'string', value);
});

t.test('responses', async (t) => {
  const response = (status: string, ...fields: string[]) => {
    const text = `HTTP/1.1 ${status}\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`;
    const head = parseResponseHead(assemblyBuffer, 0, assemblyBuffer.write(text, 'latin1'));
    if ('error' in head) return 'unparsable';
    return frameResponse(head, 'GET') ?? { body: head.body, length: head.contentLength, close: head.close };
  };
  t.strictSame(response('200 OK', 'Content-Length: 5'), { body: 'length', length: 5, close: false });
  t.match(response('200 OK', 'Transfer-Encoding: chunked'), { body: 'chunked' });
  t.match(response('200 OK'), { body: 'until-close' });
  t.match(response('200 OK'), { length: 0 });
  t.match(response('204 No Content', 'Content-Length: 5'), { body: 'none' });
  t.match(response('304 Not Modified', 'Content-Length: 5'), { body: 'none' });
  t.match(response('200 OK', 'Connection: close', 'Content-Length: 0'), { close: true });
  t.match(response('200 OK', 'Connection: Content-Length', 'Content-Length: 5'), /Connection field names/);
  t.type(response('200 OK', 'Content-Length: 5', 'Transfer-Encoding: chunked'), 'string');
  t.type(response('200 OK', 'Content-Length: 5', 'Content-Length: 5'), 'string');
  t.type(response('200 OK', 'Transfer-Encoding: gzip'), 'string');
});

t.test('a known field that is missing is not there', async (t) => {
  const head = framed(request('GET / HTTP/1.1', 'Cookie: a=1', 'X: y', 'Cookie:  b=2 '));
  if (typeof head === 'string') throw new Error(head);
  t.equal(head.known(fieldId.cookie), 'a=1, b=2');
  t.equal(head.field('x'), 'y');
  t.equal(head.known(fieldId.range), undefined);
  t.equal(head.field('range'), undefined);
});
