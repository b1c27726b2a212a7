import t, { type Test } from 'tap';
import { exchange, RawClient } from '../../support/raw-http.ts';
import { startTarget } from './target.ts';

const enforcing = await startTarget(t);
const logging = await startTarget(t, 'logging');

const host = 'Host: npu-worker\r\n';
const open = `GET /api/health HTTP/1.1\r\n${host}`;
const post = `POST /api/open HTTP/1.1\r\n${host}`;

/** A message that both binaries refuse, before they ask who sent it. */
async function malformed(t: Test, bytes: string, status = 400, reason = 'malformed-request'): Promise<void> {
  for (const { inbound, app } of [enforcing, logging]) {
    const before = app.requests.length;
    const client = await RawClient.connect(t, inbound);
    client.write(bytes);
    const response = await client.response();
    t.equal(response.reason, reason, JSON.stringify(bytes.slice(0, 100)));
    t.equal(response.status, status);
    await client.end();
    t.equal(client.text, '', 'nothing follows the refusal, and the connection closes');
    t.equal(app.requests.length, before, 'no request reached the app');
  }
}

t.test('request lines', async (t) => {
  for (const line of [
    'GET  /api/health HTTP/1.1',
    'GET /api/health  HTTP/1.1',
    'GET\t/api/health HTTP/1.1',
    'GET /api/health HTTP/1.1 ',
    'GET /api/health',
    'GET api/health HTTP/1.1',
    'GET * HTTP/1.1',
    'GET /api/health#x HTTP/1.1',
  ]) {
    await malformed(t, `${line}\r\n${host}\r\n`);
  }
  await malformed(t, `GET /api/health HTTP/2.0\r\n${host}\r\n`, 505, 'version-not-supported');
  await malformed(t, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505, 'version-not-supported');
  await malformed(t, `GET /api/health HTTP/1.2\r\n${host}\r\n`, 505, 'version-not-supported');
  await malformed(t, `CONNECT npu-worker:80 HTTP/1.1\r\n${host}\r\n`, 501, 'not-implemented');
  await malformed(t, `TRACE /api/health HTTP/1.1\r\n${host}\r\n`, 501, 'not-implemented');
});

t.test('a first byte that begins no request', async (t) => {
  for (const { inbound } of [enforcing, logging]) {
    const client = await RawClient.connect(t, inbound);
    client.write(` GET /api/health HTTP/1.1\r\n${host}\r\n`);
    t.equal(await client.end(), '', 'closed without an answer');
  }
});

t.test('hosts', async (t) => {
  const get = (fields: string) => `GET /api/health HTTP/1.1\r\n${fields}\r\n`;
  for (const fields of [
    '',
    `${host}${host}`,
    'Host: a, b\r\n',
    'Host: a,b\r\n',
    'Host: \r\n',
    'Host: a b\r\n',
    'Host: user@npu-worker\r\n',
    'Host: npu-worker:99999\r\n',
    'Host: [::1\r\n',
    'Host: a/b\r\n',
  ]) {
    await malformed(t, get(fields));
  }
  await malformed(t, `GET http://main-backend/api/health HTTP/1.1\r\n${host}\r\n`);
  await malformed(t, `GET http://u@npu-worker/api/health HTTP/1.1\r\n${host}\r\n`);
  await malformed(t, `GET https://npu-worker/api/health HTTP/1.1\r\n${host}\r\n`);
});

t.test('CL.TE, TE.CL, TE.TE and its disguises', async (t) => {
  const smuggled = `GET /internal/secret HTTP/1.1\r\n${host}\r\n`;
  await malformed(t, `${post}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`);
  await malformed(t, `${post}Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n${smuggled}`);
  for (const coding of [
    'xchunked',
    'chunked, identity',
    'identity',
    'gzip, chunked',
    'chunked,chunked',
    '"chunked"',
    'chunked;q=1',
    '\x0bchunked',
    'chun ked',
    'x\r\nTransfer-Encoding: chunked',
    'chunked\r\nTransfer-Encoding: chunked',
    'chunked\r\nTransfer-Encoding: identity',
  ]) {
    await malformed(t, `${post}Transfer-Encoding: ${coding}\r\n\r\n0\r\n\r\n${smuggled}`);
  }
  await malformed(t, `POST /api/open HTTP/1.0\r\n${host}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`);
  for (const name of ['Transfer-Encoding ', 'Transfer\tEncoding', 'Transfer-Encoding\0']) {
    await malformed(t, `${post}${name}: chunked\r\n\r\n0\r\n\r\n`);
  }
  for (const length of [
    '+5',
    '-1',
    '5, 5',
    '5,6',
    '0x5',
    '5 5',
    '',
    '99999999999999999999999',
    '1e1',
    '5\r\nContent-Length: 5',
    '5\r\nContent-Length: 6',
    '1_0',
  ]) {
    await malformed(t, `${post}Content-Length: ${length}\r\n\r\nhello`);
  }
});

t.test('line ends, folds and control characters in heads', async (t) => {
  await malformed(t, `GET /api/health HTTP/1.1\n${host}\r\n`);
  await malformed(t, `${open.replaceAll('\r\n', '\n')}\n`);
  await malformed(t, `${open}X: a\nY: b\r\n\r\n`);
  await malformed(t, `${open}X: a\rY: b\r\n\r\n`);
  await malformed(t, `${open}X: a\r\n b\r\n\r\n`);
  await malformed(t, `${open} X: a\r\n\r\n`);
  await malformed(t, `${open}X: a\0b\r\n\r\n`);
  await malformed(t, `${open}X : a\r\n\r\n`);
  await malformed(t, `${open}: a\r\n\r\n`);
  await malformed(t, `${open}no-colon\r\n\r\n`);
});

t.test('chunks', async (t) => {
  const chunked = `${post}Transfer-Encoding: chunked\r\n\r\n`;
  for (const body of [
    '5\r\nhelloX\r\n0\r\n\r\n',
    'g\r\nhello\r\n0\r\n\r\n',
    '-5\r\nhello\r\n0\r\n\r\n',
    '0x5\r\nhello\r\n0\r\n\r\n',
    'fffffffffffffffff\r\nhello\r\n',
    '5\nhello\r\n0\r\n\r\n',
    '5\r\nhello\n0\r\n\r\n',
    ' 5\r\nhello\r\n0\r\n\r\n',
    `5;${'x'.repeat(300)}\r\nhello\r\n0\r\n\r\n`,
    `0;${'x'.repeat(300)}\r\n\r\n`,
  ]) {
    await malformed(t, `${chunked}${body}`);
  }
  const { inbound, app } = enforcing;
  t.equal(
    (await exchange(t, inbound, `${chunked}5;a=b\r\nhello\r\n0\r\n\r\n`)).status,
    200,
    'a short extension is fine',
  );
  t.notMatch(app.requests.at(-1)?.head, 'a=b', 'and ends here');
});

t.test('trailers that would change who calls or what was signed', async (t) => {
  for (const trailer of [
    'X-Service-ID: main-backend',
    'X_Service_ID: main-backend',
    'x-service-foo: 1',
    'Signature: a=:YQ==:',
    'Signature-Input: a=()',
    'Content-Digest: sha-256=:YQ==:',
  ]) {
    await malformed(t, `${post}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n${trailer}\r\n\r\n`);
  }
  const { inbound, app } = enforcing;
  const trailers = 'Host: evil\r\nCookie: a=b\r\nX-Checksum: 1\r\n';
  t.equal(
    (
      await exchange(
        t,
        inbound,
        `${post}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n${trailers}\r\n`,
      )
    ).status,
    200,
  );
  t.notMatch(app.requests.at(-1)?.head, /evil|a=b/);
  t.match(app.requests.at(-1)?.head, /TRAILER x-checksum: 1/i);
});

t.test('Connection may not take covered fields away', async (t) => {
  for (const name of [
    'Host',
    'Content-Type',
    'Signature',
    'signature-input',
    'X-Service-ID',
    'x_service_id',
    'Content-Digest',
    'Cookie',
    'Authorization',
    'X-Forwarded-For',
    'Trailer',
    'X-Service-Content-Length',
    'Range',
  ]) {
    await malformed(t, `${open}Connection: close, ${name}\r\n\r\n`);
  }
  const { inbound, app } = enforcing;
  t.equal(
    (await exchange(t, inbound, `${open}Connection: X-Private\r\nX-Private: 1\r\nX-Kept: 2\r\n\r\n`)).status,
    200,
  );
  t.notMatch(app.requests.at(-1)?.head, /x-private/i);
  t.match(app.requests.at(-1)?.head, /X-Kept: 2/);
});

t.test('heads that are too large', async (t) => {
  await malformed(t, `${open}X: ${'a'.repeat(20_000)}\r\n\r\n`, 431, 'head-too-large');
  await malformed(t, `${open}${'X: a\r\n'.repeat(101)}\r\n`, 431, 'head-too-large');
  await malformed(t, `GET /${'a'.repeat(20_000)} HTTP/1.1\r\n${host}\r\n`, 431, 'head-too-large');
});

t.test('a prefix smuggled behind Upgrade or Expect stays a request of its own', async (t) => {
  const { inbound, app } = enforcing;
  for (const head of [
    `${open}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    `${open}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n`,
  ]) {
    const before = app.requests.length;
    const client = await RawClient.connect(t, inbound);
    client.write(`${head}GET /internal/secret HTTP/1.1\r\n${host}\r\n`);
    t.equal((await client.response()).status, 200);
    t.equal((await client.response()).reason, 'missing-signature');
    t.equal(app.requests.length, before + 1);
    t.notMatch(app.requests.at(-1)?.head, /HTTP2-Settings|h2c/i);
    client.socket.destroy();
  }
  const before = app.requests.length;
  const client = await RawClient.connect(t, inbound);
  client.write(
    `${post}Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhelloGET /internal/secret HTTP/1.1\r\n${host}\r\n`,
  );
  t.equal((await client.response()).status, 200);
  t.equal((await client.response()).reason, 'missing-signature');
  t.equal(app.requests.length, before + 1);
});

t.test('identity fields of strangers never reach the app, whatever they look like', async (t) => {
  for (const { inbound, app } of [enforcing, logging]) {
    const fields = [
      'X-Service-ID',
      'x-service-id',
      'X_Service_ID',
      'X-SERVICE_ID',
      'X-Service-Anything',
      'x_service_role',
      'X-Forwarded-For',
      'X_Forwarded_For',
      'X-Service-Refusal',
    ];
    const response = await exchange(
      t,
      inbound,
      `${open}${fields.map((name) => `${name}: main-backend\r\n`).join('')}\r\n`,
    );
    t.equal(response.status, 200);
    const head = app.requests.at(-1)?.head ?? '';
    t.notMatch(head, /main-backend/);
    t.match(head, /X-Forwarded-For: 127\.0\.0\.1\r?$/m);
  }
});

t.test('bytes arrive the same however they are split', async (t) => {
  const { inbound, app } = enforcing;
  const request = enforcing.signed({
    method: 'POST',
    target: '/api/process?q=%2F',
    body: 'hello world',
    fields: [['Content-Type', 'text/plain']],
  });
  for (const size of [1, 7, 64]) {
    const { bytes } = enforcing.signed({
      method: 'POST',
      target: '/api/process?q=%2F',
      body: 'hello world',
      fields: [['Content-Type', 'text/plain']],
    });
    const client = await RawClient.connect(t, inbound);
    for (let at = 0; at < bytes.length; at += size) {
      client.write(bytes.subarray(at, at + size));
      await new Promise((resolve) => setImmediate(resolve));
    }
    t.equal((await client.response()).status, 200, `pieces of ${size}`);
    t.equal(app.requests.at(-1)?.body.toString(), 'hello world');
    client.socket.destroy();
  }
  t.ok(request.bytes.length > 0);
});

t.test('pipelined requests are answered in order', async (t) => {
  const { inbound, app } = enforcing;
  const client = await RawClient.connect(t, inbound);
  const before = app.requests.length;
  const bytes = [1, 2, 3, 4, 5].map((n) => enforcing.signed({ target: `/api/status/${n}` }).bytes);
  client.write(Buffer.concat(bytes));
  for (const n of [1, 2, 3, 4, 5]) t.match((await client.response()).body, `GET /api/status/${n} `);
  t.equal(app.requests.length, before + 5);
});
