import t, { type Test } from 'tap';
import { RawClient } from '../../support/raw-http.ts';
import { buildStreamed, type StreamedRequest } from '../../support/streamed-request.ts';
import { startTarget } from './target.ts';

const enforcing = await startTarget(t);
const logging = await startTarget(t, 'logging');
const body = 'pay 10 to bob, and nothing to anybody else';

type Target = typeof enforcing;

function streamed(target: Target, changes: Partial<StreamedRequest> = {}) {
  return buildStreamed({
    ...target.callerKey,
    host: 'npu-worker',
    target: '/api/process',
    signedBody: body,
    ...changes,
  });
}

/** Sends bytes, half-closing behind them, and returns the first answer. */
async function send(test: Test, target: Target, bytes: Buffer) {
  const client = await RawClient.connect(test, target.inbound);
  client.write(bytes);
  const response = await client.response();
  client.socket.destroy();
  return response;
}

interface Expected {
  readonly reason: string;
  /** What logging answers when a stream like this cannot be passed on: one that contradicts a length cannot. */
  readonly logging?: number;
}

/** Enforcing never completes the request at the app; logging passes it on and reports the same verdict. */
async function attack(
  test: Test,
  changes: Partial<StreamedRequest> | ((target: Target) => Partial<StreamedRequest>),
  expected: Expected,
): Promise<void> {
  const of = (target: Target) => (typeof changes === 'function' ? changes(target) : changes);
  const before = enforcing.app.requests.length;
  const refused = await send(test, enforcing, streamed(enforcing, of(enforcing)).bytes);
  test.equal(refused.reason, expected.reason);
  test.equal(enforcing.app.requests.length, before, 'no request was completed at the app');

  const response = await send(test, logging, streamed(logging, of(logging)).bytes);
  test.equal(response.status, expected.logging ?? 200, 'what logging does');
  const denials = (await (await fetch(`http://127.0.0.1:${logging.admin}/denials`)).json()) as {
    denials: { reason: string }[];
  };
  test.equal(denials.denials[0]?.reason, expected.reason, 'the same verdict is reported');
}

t.test('a rightly signed stream passes, with and without a length', async (t) => {
  for (const target of [enforcing, logging]) {
    for (const length of [undefined, String(body.length)]) {
      const response = await send(t, target, streamed(target, length === undefined ? {} : { length }).bytes);
      t.equal(response.status, 200);
      const seen = target.app.requests.at(-1);
      t.equal(seen?.body.toString(), body);
      t.match(seen?.head, /^X-Service-ID: main-backend\r?$/m);
      t.notMatch(
        seen?.head,
        /signature|content-digest|x-service-content/i,
        'no trailer of ours reaches the app',
      );
      if (length !== undefined) t.match(seen?.head, /^Content-Length: 42\r?$/m);
    }
  }
});

t.test('tampered, truncated and extended bodies', async (t) => {
  await attack(t, { chunks: [body.replace('10', '99')] }, { reason: 'digest-mismatch' });
  await attack(t, { chunks: [body.slice(0, -1)] }, { reason: 'digest-mismatch' });
  await attack(t, { chunks: [body, '!'] }, { reason: 'digest-mismatch' });
  await attack(t, { chunks: [] }, { reason: 'digest-mismatch' });
});

t.test('a length that was signed is enforced', async (t) => {
  const length = String(body.length);
  const cannot = { reason: 'digest-mismatch', logging: 401 };
  await attack(t, { length, chunks: [body.slice(0, -1)] }, cannot);
  await attack(t, { length, chunks: [body, '!'] }, cannot);
  await attack(t, { length, chunks: [`${body}!`] }, cannot);
  await attack(t, { length, chunks: [body.slice(0, -1), '!!'] }, cannot);
  // The signer itself contradicts itself: the digest is right, the length is not.
  await attack(t, { length, signedBody: `${body}!`, chunks: [body, '!'] }, cannot);
  await attack(t, { length, chunks: [body.replace('10', '99')] }, { reason: 'digest-mismatch' });
  await attack(t, { length: '0', chunks: [body] }, { reason: 'digest-mismatch' });
  await attack(t, { length: '0', signedBody: '', trailers: () => [] }, { reason: 'missing-signature' });
});

t.test('a length that is not covered, no number, or beside Content-Length', async (t) => {
  await attack(t, { length: String(body.length), ends: ['trailer'] }, { reason: 'insufficient-coverage' });
  for (const length of ['-1', '4 2', '0x2a', '42.0', '1e3', '9'.repeat(16), ''])
    await attack(t, { length }, { reason: 'malformed-request', logging: 400 });
  await attack(
    t,
    { length: '42', fields: [['Content-Length', '42']] },
    { reason: 'malformed-request', logging: 400 },
  );
});

t.test('trailers that are missing, or of another body', async (t) => {
  await attack(t, { trailers: () => [] }, { reason: 'missing-signature' });
  await attack(t, { trailers: ({ digest }) => [digest] }, { reason: 'missing-signature' });
  await attack(
    t,
    { trailers: ({ digest, signatureInput }) => [digest, signatureInput] },
    { reason: 'malformed-signature' },
  );
  await attack(
    t,
    { trailers: ({ digest, signature }) => [digest, signature] },
    { reason: 'missing-signature' },
  );
  await attack(
    t,
    { trailers: ({ signature, signatureInput }) => [signature, signatureInput] },
    { reason: 'signature-mismatch' },
  );
  await attack(
    t,
    (target) => {
      const other = streamed(target, { signedBody: 'another body' });
      return {
        trailers: ({ signature, signatureInput }) => [other.trailers.digest, signature, signatureInput],
        chunks: ['another body'],
      };
    },
    { reason: 'signature-mismatch' },
  );
});

t.test('the trailers of another request', async (t) => {
  await attack(
    t,
    (target) => {
      const other = streamed(target);
      return { trailers: () => Object.values(other.trailers) };
    },
    { reason: 'signature-mismatch' },
  );
});

t.test('other keys, labels, tags and coverages of the trailer', async (t) => {
  await attack(t, { trailerKid: 'main-backend/2' }, { reason: 'unknown-key' });
  await attack(t, { trailerKey: Buffer.alloc(32) }, { reason: 'signature-mismatch' });
  await attack(t, { trailerTag: 'other' }, { reason: 'missing-signature' });
  await attack(t, { trailerTag: 'countersign' }, { reason: 'missing-signature' });
  for (const trailerCovers of [
    '("content-digest";tr)',
    '("signature";key="svc")',
    '()',
    '("content-digest";tr "signature";key="svc" "@method")',
    '("content-digest";tr "signature";key="svc" "x-service-id")',
    '("content-digest";tr "signature";key="other")',
    '("content-digest" "signature";key="svc")',
    '("content-digest";tr "signature")',
  ])
    await attack(t, { trailerCovers }, { reason: 'insufficient-coverage' });
});

t.test('Trailer lists what the streaming form has, and is covered', async (t) => {
  await attack(t, { ends: [] }, { reason: 'insufficient-coverage' });
  await attack(t, { announced: 'content-digest' }, { reason: 'insufficient-coverage', logging: 400 });
  await attack(t, { announced: 'signature, signature-input' }, { reason: 'insufficient-coverage' });
});

t.test("the app's own trailers pass when the trailer signature covers them", async (t) => {
  const own = { 'x-sum': '3', 'x-note': 'a, b' };
  for (const announced of [
    undefined,
    'content-digest, signature, signature-input, X-Sum, x-not-sent, cookie',
  ]) {
    const change = announced === undefined ? { own } : { own, announced };
    const response = await send(t, enforcing, streamed(enforcing, change).bytes);
    t.equal(response.status, 200);
    const { head } = enforcing.app.requests.at(-1)!;
    t.match(head, /TRAILER x-sum: 3\r\nx-note: a, b$/);
    if (announced !== undefined) t.match(head, /\r\nTrailer: x-sum, x-not-sent\r\n/);
  }
  const lengthy = await send(t, enforcing, streamed(enforcing, { own: { cookie: 'a', 'x-sum': '1' } }).bytes);
  t.equal(lengthy.status, 200);
  t.match(enforcing.app.requests.at(-1)?.head, /TRAILER x-sum: 1$/, 'what belongs in a head is left out');
});

t.test("the app's own trailers: added, changed, removed, left out of the signature", async (t) => {
  const own = { 'x-sum': '3' };
  await attack(
    t,
    { trailers: (lines) => ['x-sum: 3', ...Object.values(lines)] },
    { reason: 'insufficient-coverage' },
  );
  await attack(
    t,
    { own, trailers: (lines) => ['x-sum: 4', ...Object.values(lines)] },
    { reason: 'signature-mismatch' },
  );
  await attack(
    t,
    { own, trailers: (lines) => ['x-sum: 3', 'x-sum: 3', ...Object.values(lines)] },
    { reason: 'signature-mismatch' },
  );
  await attack(t, { own, trailers: (lines) => Object.values(lines) }, { reason: 'insufficient-coverage' });
  await attack(
    t,
    { own, trailerCovers: '("content-digest";tr "x-sum" "signature";key="svc")' },
    { reason: 'insufficient-coverage' },
  );
});

t.test('trailers that would change who calls', async (t) => {
  for (const line of [
    'X-Service-ID: ai-stack',
    'x_service_id: ai-stack',
    'X-Service-Content-Length: 1',
    'Content_Digest: x',
  ])
    await attack(
      t,
      { trailers: (lines) => [...Object.values(lines), line] },
      { reason: 'malformed-request', logging: 400 },
    );
});

t.test('a stream that breaks off never ends at the app', async (t) => {
  for (const target of [enforcing, logging]) {
    for (const changes of [{ ended: false }, { ended: false, length: String(body.length) }]) {
      const before = target.app.requests.length;
      const client = await RawClient.connect(t, target.inbound);
      client.socket.end(streamed(target, changes).bytes);
      await client.end();
      t.equal(client.text, '');
      t.equal(target.app.requests.length, before);
    }
  }
});

t.test('what the app got of a refused stream ends in a reset', async (t) => {
  const { app } = enforcing;
  const before = app.connections.length;
  const client = await RawClient.connect(t, enforcing.inbound);
  client.write(
    streamed(enforcing, { length: String(body.length), chunks: [body.replace('10', '99')] }).bytes,
  );
  t.equal((await client.response()).reason, 'digest-mismatch');
  const text = Buffer.concat(app.connections.slice(before)).toString('latin1');
  t.notMatch(text, /nothing to anybody else$/, 'the last byte was held back');
});

t.test('a replayed stream', async (t) => {
  const request = streamed(enforcing);
  t.equal((await send(t, enforcing, request.bytes)).status, 200);
  const before = enforcing.app.bytes.length;
  t.equal((await send(t, enforcing, request.bytes)).reason, 'replayed');
  t.equal(enforcing.app.bytes.length, before);
});
