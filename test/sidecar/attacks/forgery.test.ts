import { join } from 'node:path';
import t, { type Test } from 'tap';
import { exchange, RawClient } from '../../support/raw-http.ts';
import { outboundKey } from '../../support/signed-request.ts';
import { startTarget } from './target.ts';

const target = await startTarget(t);
const { app, inbound, signed } = target;
const now = () => Math.floor(Date.now() / 1000);

/** Sends an attack and expects its refusal, with not a byte of it at the app. */
async function refused(test: Test, bytes: Buffer, reason: string, status = 401): Promise<void> {
  const before = app.bytes.length;
  const response = await exchange(test, inbound, bytes);
  test.equal(response.reason, reason);
  test.equal(response.status, status);
  test.equal(app.bytes.length, before, 'the app received nothing');
  if (status === 401) test.match(response.head, /WWW-Authenticate: Signature realm="countersign"/);
}

const replace = (bytes: Buffer, from: string, to: string) => {
  const text = bytes.toString('latin1');
  if (!text.includes(from)) throw new Error(`the request has no ${from}`);
  return Buffer.from(text.replace(from, to), 'latin1');
};

t.test('a rightly signed call passes, with the proven caller', async (t) => {
  const response = await exchange(t, inbound, signed().bytes);
  t.equal(response.status, 200);
  t.match(app.requests.at(-1)?.head, /^X-Service-ID: main-backend\r?$/m);
  t.notMatch(app.requests.at(-1)?.head, /signature/i);
});

t.test('a body that was signed passes whole', async (t) => {
  const request = signed({
    method: 'POST',
    target: '/api/process?x=1',
    body: 'x'.repeat(100_000),
    fields: [['Content-Type', 'text/plain']],
  });
  const response = await exchange(t, inbound, request.bytes);
  t.equal(response.status, 200);
  t.equal(app.requests.at(-1)?.body.length, 100_000);
});

t.test('no signature', async (t) => {
  await refused(
    t,
    Buffer.from('GET /api/status/7 HTTP/1.1\r\nHost: npu-worker\r\nX-Service-ID: main-backend\r\n\r\n'),
    'missing-signature',
  );
});

t.test('replay: same connection, another connection, reordered components, another label', async (t) => {
  const nonce = 'n'.repeat(22);
  const created = now();
  const request = signed({ nonce, created });
  const client = await RawClient.connect(t, inbound);
  client.write(request.bytes);
  t.equal((await client.response()).status, 200);
  client.write(request.bytes);
  t.equal((await client.response()).reason, 'replayed');
  await refused(t, request.bytes, 'replayed');
  await refused(
    t,
    signed({ nonce, created, covered: ['x-service-id', '@query', '@path', '@authority', '@method'] }).bytes,
    'replayed',
  );
  await refused(t, signed({ nonce, created, label: 'other' }).bytes, 'replayed');
});

t.test('what was signed is not what is sent', async (t) => {
  await refused(t, replace(signed().bytes, 'GET /api/status/7', 'GET /api/status/8'), 'signature-mismatch');
  await refused(
    t,
    replace(signed({ target: '/api/status/7?a=1' }).bytes, '?a=1', '?a=2'),
    'signature-mismatch',
  );
  await refused(t, replace(signed().bytes, 'GET ', 'DELETE '), 'signature-mismatch');
  await refused(
    t,
    replace(signed().bytes, 'Host: npu-worker', `Host: npu-worker:${inbound}`),
    'signature-mismatch',
  );
  await refused(t, replace(signed().bytes, 'Host: npu-worker', 'Host: main-backend'), 'wrong-audience');
});

t.test('body swap, truncation and extension', async (t) => {
  const request = signed({ method: 'POST', target: '/api/process', body: 'pay 10 to bob' });
  await refused(t, replace(request.bytes, 'pay 10', 'pay 99'), 'digest-mismatch');
  const shorter = replace(
    signed({ method: 'POST', target: '/api/process', body: 'pay 10 to bob' }).bytes,
    'Content-Length: 13',
    'Content-Length: 12',
  );
  await refused(t, shorter.subarray(0, shorter.length - 1), 'digest-mismatch');
  const longer = replace(
    signed({ method: 'POST', target: '/api/process', body: 'pay 10 to bob' }).bytes,
    'Content-Length: 13',
    'Content-Length: 14',
  );
  await refused(t, Buffer.concat([longer, Buffer.from('!')]), 'digest-mismatch');
  const cutOff = signed({ method: 'POST', target: '/api/process', body: 'abc' });
  await refused(
    t,
    Buffer.from(cutOff.head.replace('Content-Length: 3\r\n', ''), 'latin1'),
    'digest-mismatch',
  );
});

t.test('a longer body, streamed, never ends at the app when it was changed', async (t) => {
  const body = Buffer.alloc(3_000_000, 'a');
  const request = signed({ method: 'POST', target: '/api/process', body });
  const bytes = Buffer.from(request.bytes);
  bytes[bytes.length - 5] = 0x62;
  const before = app.requests.length;
  const response = await exchange(t, inbound, bytes);
  t.equal(response.reason, 'digest-mismatch');
  t.equal(app.requests.length, before, 'no request was completed');
});

t.test('coverage downgrades', async (t) => {
  for (const missing of ['@method', '@authority', '@path', '@query', 'x-service-id']) {
    const covered = ['@method', '@authority', '@path', '@query', 'x-service-id'].filter(
      (name) => name !== missing,
    );
    await refused(t, signed({ covered }).bytes, 'insufficient-coverage');
  }
  await refused(
    t,
    signed({
      method: 'POST',
      target: '/api/process',
      body: 'x',
      covered: ['@method', '@authority', '@path', '@query', 'x-service-id'],
    }).bytes,
    'insufficient-coverage',
  );
  for (const name of [
    'Content-Type',
    'Content-Encoding',
    'Authorization',
    'Cookie',
    'Range',
    'X-Forwarded-For',
    'X-HTTP-Method',
    'X-HTTP-Method-Override',
    'X-Method-Override',
    'X-Original-URL',
    'X-Rewrite-URL',
  ]) {
    await refused(t, replace(signed().bytes, 'Host: ', `${name}: x\r\nHost: `), 'insufficient-coverage');
  }
});

t.test('labels, tags and members', async (t) => {
  await refused(t, signed({ tag: 'other' }).bytes, 'missing-signature');
  const two = signed();
  const doubled = replace(
    two.bytes,
    `Signature-Input: ${two.signatureInput}`,
    `Signature-Input: ${two.signatureInput}, a${two.signatureInput}`,
  );
  await refused(t, doubled, 'malformed-signature');
  const lines = signed();
  await refused(
    t,
    replace(lines.bytes, 'Signature: ', `Signature-Input: b${lines.signatureInput}\r\nSignature: `),
    'malformed-signature',
  );
  await refused(t, replace(signed().bytes, 'Signature: svc=', 'Signature: other='), 'malformed-signature');
  const alg = (name: string) => signed({ parameters: `;alg="${name}"` }).bytes;
  for (const name of ['none', 'ed25519', 'hmac-sha512', 'HMAC-SHA256'])
    await refused(t, alg(name), 'malformed-signature');
  t.equal((await exchange(t, inbound, alg('hmac-sha256'))).status, 200);
});

t.test('whose key, whose name', async (t) => {
  await refused(t, signed({ caller: 'ai-stack' }).bytes, 'caller-mismatch');
  await refused(t, signed({ kid: 'main-backend/99' }).bytes, 'unknown-key');
  await refused(t, signed({ kid: 'nobody/1' }).bytes, 'unknown-key');
  const elsewhere = await outboundKey(
    join(target.folder, 'main-backend/keyring.json'),
    'ai-stack',
    '127.0.0.2',
  );
  await refused(t, signed({ key: elsewhere.key }).bytes, 'signature-mismatch');
  await refused(t, signed({ key: Buffer.alloc(32) }).bytes, 'signature-mismatch');
});

t.test('time', async (t) => {
  await refused(t, signed({ created: now() - 302 }).bytes, 'outside-window');
  await refused(t, signed({ created: now() + 302 }).bytes, 'outside-window');
  for (const odd of ['1618884473.0', '99999999999999999999', '"1618884473"', '?1']) {
    await refused(t, signed({ created: odd as unknown as number }).bytes, 'malformed-signature');
  }
  await refused(t, signed({ created: -1 }).bytes, 'outside-window');
  await refused(t, signed({ parameters: `;expires=${now() - 1}` }).bytes, 'outside-window');
});

t.test('nonces that are too short or too long', async (t) => {
  await refused(t, signed({ nonce: 'n'.repeat(15) }).bytes, 'malformed-signature');
  await refused(t, signed({ nonce: 'n'.repeat(129) }).bytes, 'malformed-signature');
});

t.test('authorised calls only', async (t) => {
  await refused(t, signed({ target: '/api/other' }).bytes, 'not-authorized', 403);
  await refused(t, signed({ target: '/api/models' }).bytes, 'not-authorized', 403);
  await refused(t, signed({ target: '/API/status/7' }).bytes, 'not-authorized', 403);
});

t.test('paths that can be read in several ways', async (t) => {
  for (const path of [
    '/internal/../api/other',
    '/internal/%2e%2e/x',
    '/internal/%252e%252e/x',
    '/internal/..;a=b/x',
    '/internal/.%2e/x',
    '/internal/%5c../x',
    '/internal/%00',
    '/internal/%zz',
    '/api/status/7%2F8',
  ]) {
    await refused(t, signed({ target: path }).bytes, 'ambiguous-path', 400);
  }
  t.equal(
    (await exchange(t, inbound, signed({ target: '/internal/a%2Fb' }).bytes)).status,
    200,
    'all readings allowed',
  );
  t.match(app.requests.at(-1)?.head, /^GET \/internal\/a%2Fb HTTP/, 'forwarded unchanged');
});
