import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { createSignature, verifySignature } from 'http-message-sig';
import { createSigner, createVerifier, httpbis } from 'http-message-signatures';
import t from 'tap';
import { contentDigest } from '../../../sidecar/signature/content-digest.ts';
import { requiredComponents } from '../../../sidecar/signature/coverage-rules.ts';
import { PairKey } from '../../../sidecar/signature/hmac.ts';
import { signRequest } from '../../../sidecar/signature/sign.ts';
import type { VerifierKeys } from '../../../sidecar/signature/verifier-keys.ts';
import { verifyRequest } from '../../../sidecar/signature/verify.ts';
import { plainRequest } from '../../support/plain-request.ts';

const secret = randomBytes(32);
const key = new PairKey(secret);
const kid = 'main-backend/2';
const created = Math.floor(Date.now() / 1000);
const nonce = randomBytes(16).toString('base64url');
const keyring: VerifierKeys = {
  service: 'npu-worker',
  host: '172.16.168.22',
  inbound: new Map([[kid, { kid, caller: 'main-backend', key, notAfterMs: Number.POSITIVE_INFINITY }]]),
};

const url = 'http://npu-worker/api/process?x=1&y=two%20words';
const target = url.slice('http://npu-worker'.length);
const body = Buffer.from('{"job":1}');
const headers: Record<string, string> = {
  'x-service-id': 'main-backend',
  'content-type': 'application/json',
  'content-length': String(body.length),
  'content-digest': contentDigest(body),
};
const message = (more: Record<string, string> = {}) =>
  plainRequest({ method: 'POST', target, fields: Object.entries({ ...headers, ...more }) });
const covered = [...requiredComponents(message(), 'digest'), '@target-uri', '@scheme', '@request-target'];

/** Our inbound side, asked about a message that somebody else has signed. */
const inbound = (more: Record<string, string>) =>
  verifyRequest(message(more), keyring, new Set(['npu-worker']), Date.now());

t.test('http-message-signatures signs, our side accepts', async (t) => {
  const signed = await httpbis.signMessage(
    {
      key: createSigner(secret, 'hmac-sha256', kid),
      name: 'theirs',
      fields: [...covered, '@query-param;name="x"'],
      params: ['created', 'expires', 'keyid', 'nonce', 'alg', 'tag'],
      paramValues: { nonce, tag: 'countersign', expires: new Date(Date.now() + 60_000) },
    },
    { method: 'POST', url, headers },
  );
  const { Signature, 'Signature-Input': input } = signed.headers as Record<string, string>;
  t.match(inbound({ signature: Signature ?? '', 'signature-input': input ?? '' }), {
    proven: true,
    caller: 'main-backend',
    label: 'theirs',
  });
});

t.test('our side signs, http-message-signatures accepts', async (t) => {
  const signed = signRequest(message(), covered, key, { kid, created, nonce });
  const verified = await httpbis.verifyMessage(
    {
      keyLookup: async ({ keyid }) =>
        keyid === kid
          ? { id: kid, algs: ['hmac-sha256'], verify: createVerifier(secret, 'hmac-sha256') }
          : null,
    },
    {
      method: 'POST',
      url,
      headers: {
        ...headers,
        signature: `svc=${signed.signature}`,
        'signature-input': `svc=${signed.signatureInput}`,
      },
    },
  );
  t.equal(verified, true);
});

const hmac = (data: Uint8Array) => createHmac('sha256', secret).update(data).digest();
const fields = (more: Record<string, string> = {}) =>
  Object.entries({ ...headers, ...more }).map(([name, value]) => ({ name, value }));

t.test('http-message-sig signs, our side accepts', async (t) => {
  const signed = await createSignature(
    { kind: 'request', method: 'POST', targetUri: url, requestTarget: target, fields: fields() },
    {
      label: 'theirs',
      components: covered,
      parameters: { created, keyid: kid, nonce, tag: 'countersign', alg: 'hmac-sha256' },
      signer: { algorithm: 'hmac-sha256', sign: hmac },
    },
  );
  const label = (text: string) => (text.startsWith('theirs=') ? text : `theirs=${text}`);
  t.match(inbound({ signature: label(signed.signature), 'signature-input': label(signed.signatureInput) }), {
    proven: true,
    label: 'theirs',
  });
});

t.test('our side signs, http-message-sig accepts', async (t) => {
  const signed = signRequest(message(), covered, key, { kid, created, nonce });
  const more = { signature: `svc=${signed.signature}`, 'signature-input': `svc=${signed.signatureInput}` };
  const verified = await verifySignature(
    { kind: 'request', method: 'POST', targetUri: url, requestTarget: target, fields: fields(more) },
    {
      label: 'svc',
      policy: {
        algorithms: ['hmac-sha256'],
        requiredComponents: covered,
        requiredParameters: ['created', 'keyid', 'nonce', 'tag'],
        maxAge: 300,
      },
      resolveVerifier: () => ({
        algorithm: 'hmac-sha256',
        verify: (data, signature) => timingSafeEqual(hmac(data), signature),
      }),
    },
  );
  t.equal(verified.parameters.keyid, kid);
});
