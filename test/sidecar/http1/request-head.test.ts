import t from 'tap';
import { reparsed } from '../../../sidecar/http1/head-parser.ts';

const isSafe = (line: string, fields = '') =>
  reparsed(`${line} HTTP/1.1\r\nHost: npu-worker\r\n${fields}\r\n`).isSafe;

t.test('a request that only reads, and is its head alone, is safe', async (t) => {
  for (const method of ['GET', 'HEAD', 'OPTIONS']) {
    t.ok(isSafe(`${method} /a`), method);
    t.ok(isSafe(`${method} /a`, 'Accept: */*\r\nX-Method: POST\r\n'), `${method} with other fields`);
  }
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'PURGE']) t.notOk(isSafe(`${method} /a`), method);
});

t.test('a request with a body, or that changes the protocol, is not safe', async (t) => {
  t.ok(isSafe('GET /a', 'Content-Length: 0\r\n'), 'an empty body is none');
  t.notOk(isSafe('GET /a', 'Content-Length: 1\r\n'));
  t.notOk(isSafe('GET /a', 'Transfer-Encoding: chunked\r\n'));
  t.notOk(isSafe('GET /a', 'Connection: upgrade\r\nUpgrade: websocket\r\n'));
});

t.test('attack: a field that overrides the method makes no request run beside others', async (t) => {
  for (const name of ['X-HTTP-Method', 'X-HTTP-Method-Override', 'X-Method-Override']) {
    t.notOk(isSafe('GET /a', `${name}: DELETE\r\n`), name);
    t.notOk(isSafe('GET /a', `${name.toLowerCase()}: DELETE\r\n`), `${name} in lower case`);
    t.notOk(isSafe('GET /a', `${name}: GET\r\n`), `${name}, whatever it says`);
    t.notOk(isSafe('GET /a', `${name}: GET\r\n${name}: DELETE\r\n`), `${name} twice`);
    t.ok(isSafe('GET /a'), 'and is forgotten with the request');
  }
});

t.test('a head that is kept stays as it was when the next one is parsed', async (t) => {
  const kept = reparsed('GET /a HTTP/1.1\r\nHost: npu-worker\r\nX-Method-Override: PUT\r\n\r\n').keep();
  reparsed('POST /b HTTP/1.1\r\nHost: other\r\nContent-Length: 5\r\n\r\n');
  t.equal(kept.method, 'GET');
  t.equal(kept.target, '/a');
  t.equal(kept.field('x-method-override'), 'PUT');
  t.notOk(kept.hasBody);
  t.notOk(kept.isSafe);
  t.equal(kept.keep(), kept);
});
