import t from 'tap';
import { contentDigest } from '../../../sidecar/signature/content-digest.ts';
import { requiredComponents } from '../../../sidecar/signature/coverage-rules.ts';
import { PairKey } from '../../../sidecar/signature/hmac.ts';
import { signRequest, signTrailer } from '../../../sidecar/signature/sign.ts';
import type { VerifierKeys } from '../../../sidecar/signature/verifier-keys.ts';
import { verifyRequest, verifyTrailer } from '../../../sidecar/signature/verify.ts';
import { type PlainRequest, plainRequest } from '../../support/plain-request.ts';

const key = new PairKey(Buffer.alloc(32, 7));
const otherKey = new PairKey(Buffer.alloc(32, 8));
const now = 1_764_000_000;
const nonce = 'abcdefghijklmnop';
const kid = 'main-backend/2';
const inbound = (id: string, caller: string, pair: PairKey, notAfterMs = Number.POSITIVE_INFINITY) =>
  [id, { kid: id, caller, key: pair, notAfterMs }] as const;
const keyring: VerifierKeys = {
  service: 'npu-worker',
  host: '172.16.168.22',
  inbound: new Map([
    inbound(kid, 'main-backend', key),
    inbound('main-backend/1', 'main-backend', otherKey, now * 1000),
    inbound('ai-stack/1', 'ai-stack', otherKey),
  ]),
};
const audience = new Set(['npu-worker', 'npu-worker:15006']);
const body = Buffer.from('{"a":1}');

const plain: PlainRequest = {
  method: 'POST',
  target: '/api/process?x=1',
  fields: [
    ['x-service-id', 'main-backend'],
    ['content-type', 'application/json'],
    ['content-length', String(body.length)],
    ['content-digest', contentDigest(body)],
  ],
};

interface Change {
  readonly request?: PlainRequest;
  readonly after?: (request: PlainRequest) => PlainRequest;
  readonly covered?: readonly string[];
  readonly kid?: string;
  readonly key?: PairKey;
  readonly created?: number;
  readonly nonce?: string;
  /** Applied to Signature-Input; what is signed stays. */
  readonly input?: (text: string) => string;
  readonly signature?: (text: string) => string;
}

function verdict(change: Change = {}, atMs = now * 1000, peer?: string) {
  const request = change.request ?? plain;
  const message = plainRequest(request);
  const signed = signRequest(
    message,
    change.covered ?? requiredComponents(message, 'digest'),
    change.key ?? key,
    {
      kid: change.kid ?? kid,
      created: change.created ?? now,
      nonce: change.nonce ?? nonce,
    },
  );
  const sent = change.after?.(request) ?? request;
  const input = `svc=${signed.signatureInput}`;
  const signature = `svc=${signed.signature}`;
  const fields = [
    ...(sent.fields ?? []),
    ['signature-input', change.input?.(input) ?? input],
    ['signature', change.signature?.(signature) ?? signature],
  ] as [string, string][];
  return verifyRequest(plainRequest({ ...sent, fields }), keyring, audience, atMs, peer);
}

const reason = (change: Change, atMs?: number) => {
  const proof = verdict(change, atMs);
  return proof.proven ? 'proven' : proof.denial.reason;
};

t.test('proves what our own side signs', async (t) => {
  t.match(verdict(), {
    proven: true,
    caller: 'main-backend',
    kid,
    nonce,
    created: now,
    label: 'svc',
    body: { by: 'digest', digest: contentDigest(body) },
    skewSeconds: 0,
  });
});

t.test('refuses a call without a signature of ours', async (t) => {
  const proof = verifyRequest(plainRequest(plain), keyring, audience, now * 1000);
  t.match(proof, { proven: false, claimed: 'main-backend', denial: { reason: 'missing-signature' } });
  t.equal(reason({ input: (text) => text.replace('tag="countersign"', 'tag="other"') }), 'missing-signature');
  t.equal(reason({ input: (text) => text.replace('tag="countersign"', 'x=1') }), 'missing-signature');
  t.equal(
    reason({ input: (text) => text.replace('tag="countersign"', 'tag="countersign-trailer"') }),
    'missing-signature',
  );
});

t.test('refuses what cannot be read in one way only', async (t) => {
  const cases: Record<string, Change> = {
    'no structured field': { input: (text) => `${text},` },
    'two members with our tag': { input: (text) => `${text}, a${text}` },
    'a duplicate label': { input: (text) => `${text}, ${text}` },
    'a duplicate parameter': { input: (text) => `${text};created=${now}` },
    'a duplicate component': { input: (text) => text.replace('"@path"', '"@path" "@path"') },
    'a duplicate component with parameters in another order': {
      input: (text) => text.replace('("', '("a";sf;key="x" "a";key="x";sf "'),
    },
    'an unknown derived component': { input: (text) => text.replace('"@path"', '"@path" "@status"') },
    'a component in upper case': { input: (text) => text.replace('"x-service-id"', '"X-Service-ID"') },
    'a token for a tag': { input: (text) => text.replace('tag="countersign"', 'tag=countersign') },
    'created as a decimal': { input: (text) => text.replace(`created=${now}`, `created=${now}.0`) },
    'created as a string': { input: (text) => text.replace(`created=${now}`, `created="${now}"`) },
    'created as a date': { input: (text) => text.replace(`created=${now}`, `created=@${now}`) },
    'created with 16 digits': { input: (text) => text.replace(`created=${now}`, 'created=1000000000000000') },
    'no created': { input: (text) => text.replace(`;created=${now}`, '') },
    'no keyid': { input: (text) => text.replace(`;keyid="${kid}"`, '') },
    'no nonce': { input: (text) => text.replace(`;nonce="${nonce}"`, '') },
    'a nonce of 15 characters': { nonce: nonce.slice(1) },
    'a nonce of 129 characters': { nonce: 'a'.repeat(129) },
    'another algorithm': { input: (text) => `${text};alg="rsa-pss-sha512"` },
    'the algorithm as a token': { input: (text) => `${text};alg=hmac-sha256` },
    'an item for a list': { input: (text) => text.replace(/\(.*\)/, '1') },
    'no Signature of that label': { signature: (text) => text.replace('svc', 'other') },
    'a string for a signature': { signature: () => 'svc="abc"' },
    'base64 with stray bits': { signature: (text) => text.replace(/(.)=:$/, (_, c) => `${next(c)}=:`) },
    'base64 without padding': { signature: (text) => text.replace('=:', ':') },
  };
  for (const [name, change] of Object.entries(cases)) t.equal(reason(change), 'malformed-signature', name);
});

/** The base64 digit after this one: other stray bits, the same bytes. */
const next = (digit: string) => {
  const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  return digits[digits.indexOf(digit) + 1];
};

t.test('accepts more than it needs, in any order, under any label, beside others', async (t) => {
  const covered = [...requiredComponents(plainRequest(plain), 'digest')].reverse();
  t.equal(reason({ covered }), 'proven');
  t.equal(
    reason({ covered: [...covered, '@target-uri', '@scheme', '@request-target', '"@query-param";name="x"'] }),
    'proven',
  );
  t.equal(
    reason({ input: (x) => x.replace('svc', 'a.b'), signature: (x) => x.replace('svc', 'a.b') }),
    'proven',
  );
  t.equal(
    reason({ input: (x) => `o=("@path");tag="o", ${x}, p=1`, signature: (x) => `o=:AA==:, ${x}` }),
    'proven',
  );
  t.equal(reason({ input: (x) => x.replace('("', '(  "').replace(';created', ';  created') }), 'proven');
});

t.test('demands all that the rules name', async (t) => {
  for (const name of requiredComponents(plainRequest(plain), 'digest')) {
    const covered = requiredComponents(plainRequest(plain), 'digest').filter((other) => other !== name);
    const proof = verdict({ covered });
    t.match(proof, { denial: { reason: 'insufficient-coverage', expected: `"${name}"` } }, name);
  }
  const extra = (field: string): Change => ({
    after: (request) => ({ ...request, fields: [...(request.fields ?? []), [field, '1']] }),
  });
  for (const field of [
    'content-encoding',
    'authorization',
    'cookie',
    'range',
    'upgrade',
    'x-forwarded-for',
    'x-http-method',
    'x-http-method-override',
    'x-method-override',
    'x-original-url',
    'x-rewrite-url',
    'x-service-content-length',
  ])
    t.equal(reason(extra(field)), 'insufficient-coverage', field);
  const part = requiredComponents(plainRequest(plain), 'digest').map((name) =>
    name === 'content-digest' ? '"content-digest";key="sha-256"' : name,
  );
  t.equal(reason({ covered: part }), 'insufficient-coverage', 'a part of a field is not the field');
});

t.test('demands the digest of every kind of body, and none without a body', async (t) => {
  const bare: PlainRequest = { fields: [['x-service-id', 'main-backend']] };
  const withField = (name: string, value: string): PlainRequest => ({
    fields: [...(bare.fields ?? []), [name, value]],
  });
  const covered = ['@method', '@authority', '@path', '@query', 'x-service-id'];
  t.equal(reason({ request: bare, covered }), 'proven');
  t.equal(reason({ request: withField('content-length', '0'), covered }), 'proven');
  t.equal(reason({ request: withField('content-length', '5'), covered }), 'insufficient-coverage');
  t.equal(reason({ request: withField('transfer-encoding', 'chunked'), covered }), 'insufficient-coverage');
});

t.test('refuses a caller, a key, an audience and a time that are not right', async (t) => {
  const as = (name: string): PlainRequest => ({
    ...plain,
    fields: plain.fields?.map(([key, value]) => [key, key === 'x-service-id' ? name : value] as const) ?? [],
  });
  t.equal(reason({ request: as('ai-stack') }), 'caller-mismatch');
  t.equal(reason({ request: as('main-backend, main-backend') }), 'caller-mismatch');
  t.equal(reason({ kid: 'main-backend/9' }), 'unknown-key');
  t.equal(reason({ kid: 'main-backend' }), 'caller-mismatch');
  t.equal(reason({ kid: 'main-backend/1', key: otherKey }), 'expired-key');
  t.equal(reason({ request: { ...plain, authority: 'ai-stack' } }), 'wrong-audience');
  t.equal(reason({ created: now - 300 }), 'proven');
  t.equal(reason({ created: now + 300 }), 'proven');
  t.equal(reason({ created: now - 301 }), 'outside-window');
  t.equal(reason({ created: now + 301 }), 'outside-window');
  t.equal(reason({ created: -1 }), 'outside-window');
  t.equal(reason({ created: 999_999_999_999_999 }), 'outside-window');
  t.equal(reason({ input: (text) => `${text};expires=${now - 1}` }), 'outside-window');
  t.equal(reason({ key: otherKey }), 'signature-mismatch');
  t.equal(
    reason({ kid: 'ai-stack/1', request: as('ai-stack') }),
    'signature-mismatch',
    "another caller's key",
  );
});

t.test('a denial says what was found and what to do', async (t) => {
  const detail = (change: Change) => {
    const proof = verdict(change);
    return proof.proven ? undefined : proof.denial.detail;
  };
  const unsigned = verifyRequest(plainRequest(plain), keyring, audience, now * 1000);
  t.match(unsigned, {
    denial: { detail: /^The call is not signed: there is no Signature-Input field\. Send it through/ },
  });
  t.match(
    detail({ input: (text) => text.replace('tag="countersign"', 'tag="other"') }),
    /^The call is not signed: no member of Signature-Input has tag="countersign"\./,
  );
  const unknown = detail({ kid: 'main-backend/9' });
  t.match(
    unknown,
    /^The key "main-backend\/9" is not in the keyring of \S+ on \S+, which has main-backend\/\d/,
  );
  t.notMatch(unknown, /ai-stack/, 'only keys of that caller');
  t.match(detail({ created: now - 301 }), /301 s.* ago|ago/);
  t.match(detail({ created: now + 301 }), /in the future/);
});

t.test('honours expires and reports it', async (t) => {
  const message = plainRequest(plain);
  const input = `${[...'("@method" "@authority" "@path" "@query" "x-service-id" "content-digest" "content-type")'].join('')};created=${now};keyid="${kid}";nonce="${nonce}";tag="countersign";expires=${now + 5}`;
  const base = `"@method": POST\n"@authority": npu-worker\n"@path": /api/process\n"@query": ?x=1\n"x-service-id": main-backend\n"content-digest": ${contentDigest(body)}\n"content-type": application/json\n"@signature-params": ${input}`;
  const fields = [
    ...(plain.fields ?? []),
    ['signature-input', `svc=${input}`],
    ['signature', `svc=:${key.macBase64(base)}:`],
  ] as [string, string][];
  const sent = plainRequest({ ...plain, fields });
  t.match(verifyRequest(sent, keyring, audience, now * 1000 + 5000), { proven: true, expires: now + 5 });
  t.match(verifyRequest(sent, keyring, audience, now * 1000 + 5001), {
    denial: { reason: 'outside-window' },
  });
  t.equal(message.method, 'POST');
});

t.test('a mismatch shows a hash of every covered value', async (t) => {
  const proof = verdict({ after: (request) => ({ ...request, target: '/api/other?x=1' }) });
  if (proof.proven) return t.fail('accepted a changed path');
  t.equal(proof.denial.reason, 'signature-mismatch');
  const before = verdict({ key: otherKey });
  if (before.proven) return t.fail('accepted another key');
  const hashes = (text: string | undefined) =>
    new Map(text?.split(' ').map((pair) => pair.split('=') as [string, string]));
  const a = hashes(proof.denial.received);
  const b = hashes(before.denial.received);
  t.same(
    [...a.keys()].filter((name) => a.get(name) !== b.get(name)),
    ['"@path"'],
  );
});

t.test('the streaming form proves the head first and the trailer at the end', async (t) => {
  const request: PlainRequest = {
    method: 'POST',
    target: '/api/process',
    fields: [
      ['x-service-id', 'main-backend'],
      ['transfer-encoding', 'chunked'],
      ['trailer', 'Content-Digest, Signature, Signature-Input'],
      ['x-service-content-length', '7'],
    ],
  };
  const message = plainRequest(request);
  const covered = requiredComponents(message, 'trailer');
  t.same(covered, [
    '@method',
    '@authority',
    '@path',
    '@query',
    'x-service-id',
    'trailer',
    'x-service-content-length',
  ]);
  const head = signRequest(message, covered, key, { kid, created: now, nonce });
  const fields = [
    ...(request.fields ?? []),
    ['signature-input', `svc=${head.signatureInput}`],
    ['signature', `svc=${head.signature}`],
  ] as [string, string][];
  const proof = verifyRequest(plainRequest({ ...request, fields }), keyring, audience, now * 1000);
  if (!proof.proven) return t.fail(proof.denial.detail);
  t.strictSame(proof.body, { by: 'trailer' });

  const digest = contentDigest(body);
  const trailer = signTrailer(digest, head.signature.slice(1, -1), key, { kid, created: now });
  const withTrailers = (change: Record<string, string> = {}) =>
    plainRequest({
      ...request,
      fields,
      trailers: {
        'content-digest': digest,
        'signature-input': `t=${trailer.signatureInput}`,
        signature: `t=${trailer.signature}`,
        ...change,
      },
    });
  t.equal(verifyTrailer(proof, withTrailers()), undefined);
  t.match(verifyTrailer(proof, plainRequest({ ...request, fields })), { reason: 'missing-signature' });
  t.match(verifyTrailer(proof, withTrailers({ 'content-digest': contentDigest(Buffer.from('x')) })), {
    reason: 'signature-mismatch',
  });
  const other = signTrailer(digest, head.signature.slice(1, -1), otherKey, { kid, created: now });
  t.match(verifyTrailer(proof, withTrailers({ signature: `t=${other.signature}` })), {
    reason: 'signature-mismatch',
  });
  const spliced = signTrailer(digest, Buffer.alloc(32).toString('base64'), key, { kid, created: now });
  t.match(
    verifyTrailer(
      proof,
      withTrailers({ 'signature-input': `t=${spliced.signatureInput}`, signature: `t=${spliced.signature}` }),
    ),
    { reason: 'signature-mismatch' },
    'the trailer of another request',
  );
  t.match(
    verifyTrailer(
      proof,
      withTrailers({ 'signature-input': `t=${trailer.signatureInput.replace('"content-digest";tr ', '')}` }),
    ),
    { reason: 'insufficient-coverage' },
  );
  t.match(
    verifyTrailer(
      proof,
      withTrailers({ 'signature-input': `t=${trailer.signatureInput.replace(kid, 'ai-stack/1')}` }),
    ),
    { reason: 'unknown-key' },
  );
});

t.test('the streaming form needs chunks and a Trailer field that lists its fields', async (t) => {
  const covered = ['@method', '@authority', '@path', '@query', 'x-service-id', 'trailer'];
  const request = (
    trailer: string,
    framing: [string, string] = ['transfer-encoding', 'chunked'],
  ): PlainRequest => ({
    method: 'POST',
    fields: [['x-service-id', 'main-backend'], framing, ['trailer', trailer]],
  });
  t.equal(reason({ covered, request: request('content-digest, signature, signature-input') }), 'proven');
  t.equal(reason({ covered, request: request('content-digest, signature') }), 'insufficient-coverage');
  t.equal(
    reason({ covered, request: request('content-digest, signature, signature-input, X-Sum') }),
    'proven',
  );
  for (const further of ['x-service-id', 'X.Service_ID', 'signature', 'x-sum, x-sum'])
    t.equal(
      reason({ covered, request: request(`content-digest, signature, signature-input, ${further}`) }),
      'insufficient-coverage',
      further,
    );
  t.equal(
    reason({
      covered,
      request: request('content-digest, signature, signature-input', ['content-length', '5']),
    }),
    'insufficient-coverage',
  );
});

t.test('on a sealed connection the signature names the caller that the connection proved', (t) => {
  t.match(verdict({}, now * 1000, 'main-backend'), { proven: true, caller: 'main-backend' });
  t.match(verdict({}, now * 1000, 'frontend'), {
    proven: false,
    denial: { reason: 'caller-mismatch', expected: 'frontend', received: 'main-backend' },
    claimed: 'main-backend',
  });
  t.end();
});

t.test('on a sealed connection a body needs no digest, and one that is covered is checked', (t) => {
  const fields = plain.fields?.filter(([name]) => name !== 'content-digest') ?? [];
  const change = {
    request: { ...plain, fields },
    covered: requiredComponents(plainRequest(plain), 'digest').filter((name) => name !== 'content-digest'),
  };
  t.equal(reason(change), 'insufficient-coverage', 'a plain one needs it');
  t.match(verdict(change, now * 1000, 'main-backend'), { proven: true, body: { by: 'tls' } });
  t.match(verdict({}, now * 1000, 'main-backend'), {
    proven: true,
    body: { by: 'digest', digest: contentDigest(body) },
  });
  t.match(
    verdict({ ...change, covered: change.covered.slice(1) }, now * 1000, 'main-backend'),
    { proven: false, denial: { reason: 'insufficient-coverage' } },
    'the rest of what is demanded stays so',
  );
  t.end();
});
