import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { join } from 'node:path';
import { createSignature, verifySignature } from 'http-message-sig';
import { createSigner, createVerifier, httpbis } from 'http-message-signatures';
import t from 'tap';
import { ok, onHead } from '../support/raw-app.ts';
import { exchange } from '../support/raw-http.ts';
import { sealedApp } from '../support/sealed-app.ts';
import { freePorts, startSidecar, writeFleet } from '../support/sidecar-process.ts';
import { outboundKey } from '../support/signed-request.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { startTarget } from './attacks/target.ts';

const target = await startTarget(t);
const { kid, key } = target.callerKey;
const body = '{"job":1}';
const url = 'http://npu-worker/api/process?x=1&y=two%20words';
const requestTarget = '/api/process?x=1&y=two%20words';
const headers: Record<string, string> = {
  'x-service-id': 'main-backend',
  'content-type': 'application/json',
  'content-digest': `sha-256=:${createHash('sha256').update(body).digest('base64')}:`,
};
const covered = ['@method', '@authority', '@path', '@query', ...Object.keys(headers)];
const nonce = () => `${Math.random()}-${Math.random()}`;
const hmac = (data: Uint8Array) => createHmac('sha256', key).update(data).digest();

async function send(signed: Record<string, string>) {
  const fields = { host: 'npu-worker', ...headers, ...signed, 'content-length': String(body.length) };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return exchange(t, target.inbound, `POST ${requestTarget} HTTP/1.1\r\n${lines.join('')}\r\n${body}`);
}

t.test('what http-message-signatures signs is accepted', async (t) => {
  const signed = await httpbis.signMessage(
    {
      key: createSigner(key, 'hmac-sha256', kid),
      name: 'theirs',
      fields: covered,
      params: ['created', 'expires', 'keyid', 'nonce', 'alg', 'tag'],
      paramValues: { nonce: nonce(), tag: 'countersign', expires: new Date(Date.now() + 60_000) },
    },
    { method: 'POST', url, headers },
  );
  const { Signature, 'Signature-Input': input } = signed.headers as Record<string, string>;
  const fields = { signature: Signature!, 'signature-input': input! };
  t.equal((await send(fields)).status, 200);
  t.match(target.app.requests.at(-1)?.head, /^X-Service-ID: main-backend\r?$/m);
  t.equal((await send(fields)).reason, 'replayed');
});

t.test('what http-message-sig signs is accepted', async (t) => {
  const signed = await createSignature(
    {
      kind: 'request',
      method: 'POST',
      targetUri: url,
      requestTarget,
      fields: Object.entries(headers).map(([name, value]) => ({ name, value })),
    },
    {
      label: 'theirs',
      components: covered,
      parameters: {
        created: Math.floor(Date.now() / 1000),
        keyid: kid,
        nonce: nonce(),
        tag: 'countersign',
        alg: 'hmac-sha256',
      },
      signer: { algorithm: 'hmac-sha256', sign: hmac },
    },
  );
  const label = (text: string) => (text.startsWith('theirs=') ? text : `theirs=${text}`);
  const fields = { signature: label(signed.signature), 'signature-input': label(signed.signatureInput) };
  t.equal((await send(fields)).status, 200);
});

t.test('what outbound signs is verified by both', async (t) => {
  const folder = await tempFolder(t);
  const heads: string[] = [];
  const keyring = () => join(folder, 'main-backend/keyring.json');
  const callee = await sealedApp(t, keyring, (socket) =>
    onHead(socket, (head) => {
      if (!head.startsWith('POST')) return;
      heads.push(head);
      socket.write(ok());
    }),
  );
  const [outbound, inbound, admin] = (await freePorts(3)) as [number, number, number];
  await writeFleet(
    folder,
    { 'npu-worker': { inbound: callee, app: 1 }, 'main-backend': { inbound, app: 2 } },
    'services:\n  npu-worker:\n    callers:\n      main-backend: [ "* /**" ]\n',
  );
  await startSidecar(t, {
    phase: 'enforcing',
    folder: join(folder, 'main-backend'),
    service: 'main-backend',
    ports: { outbound, inbound, admin },
    app: 2,
  });
  const pair = await outboundKey(join(folder, 'main-backend/keyring.json'), 'npu-worker');
  const sent = `POST ${requestTarget} HTTP/1.1\r\nHost: npu-worker\r\nContent-Type: application/json\r\nCookie: a=1\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  t.equal((await exchange(t, outbound, sent)).status, 200);
  const fields = heads[0]!
    .split('\r\n')
    .slice(1)
    .filter((line) => line !== '')
    .map((line) => {
      const at = line.indexOf(':');
      return { name: line.slice(0, at).toLowerCase(), value: line.slice(at + 1).trim() };
    });
  const received = Object.fromEntries(fields.map(({ name, value }) => [name, value]));
  t.equal(
    await httpbis.verifyMessage(
      {
        keyLookup: async ({ keyid }) =>
          keyid === pair.kid
            ? { id: pair.kid, algs: ['hmac-sha256'], verify: createVerifier(pair.key, 'hmac-sha256') }
            : null,
      },
      { method: 'POST', url, headers: received },
    ),
    true,
  );
  const verified = await verifySignature(
    { kind: 'request', method: 'POST', targetUri: url, requestTarget, fields },
    {
      label: 'svc',
      policy: {
        algorithms: ['hmac-sha256'],
        requiredComponents: [...covered.filter((name) => name !== 'content-digest'), 'cookie'],
        requiredParameters: ['created', 'keyid', 'nonce', 'tag'],
        maxAge: 300,
      },
      resolveVerifier: () => ({
        algorithm: 'hmac-sha256',
        verify: (data, signature) =>
          timingSafeEqual(createHmac('sha256', pair.key).update(data).digest(), signature),
      }),
    },
  );
  t.equal(verified.parameters.keyid, pair.kid);
});
