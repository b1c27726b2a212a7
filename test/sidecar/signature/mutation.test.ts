import fc from 'fast-check';
import t from 'tap';
import { requiredComponents } from '../../../sidecar/signature/coverage-rules.ts';
import { PairKey } from '../../../sidecar/signature/hmac.ts';
import { signRequest } from '../../../sidecar/signature/sign.ts';
import type { VerifierKeys } from '../../../sidecar/signature/verifier-keys.ts';
import { verifyRequest } from '../../../sidecar/signature/verify.ts';
import { reasons } from '../../../sidecar/terms/reasons.ts';
import { type PlainRequest, plainRequest } from '../../support/plain-request.ts';

const now = 1_764_000_000;
const key = new PairKey(Buffer.alloc(32, 7));
const kid = 'main-backend/2';
const keyring: VerifierKeys = {
  service: 'npu-worker',
  host: '172.16.168.22',
  inbound: new Map([[kid, { kid, caller: 'main-backend', key, notAfterMs: Number.POSITIVE_INFINITY }]]),
};
const audience = new Set(['npu-worker']);

const unsigned: PlainRequest = {
  method: 'POST',
  target: '/api/process?x=1&y=%20',
  fields: [
    ['x-service-id', 'main-backend'],
    ['content-type', 'application/json'],
    ['authorization', 'Bearer abc'],
    ['content-length', '7'],
    ['content-digest', 'sha-256=:AVq9f1zFei3ZS3WQ8E2BXLIIEmtdOx0c5c1NU6ge2AY=:'],
  ],
};
const signed = signRequest(
  plainRequest(unsigned),
  requiredComponents(plainRequest(unsigned), 'digest'),
  key,
  {
    kid,
    created: now,
    nonce: 'abcdefghijklmnop',
  },
);
const request: PlainRequest = {
  ...unsigned,
  fields: [
    ...(unsigned.fields ?? []),
    ['signature-input', `svc=${signed.signatureInput}`],
    ['signature', `svc=${signed.signature}`],
  ],
};
const check = (changed: PlainRequest) => verifyRequest(plainRequest(changed), keyring, audience, now * 1000);

/** A head is bytes: each character stands for one. */
const latin1 = (text: string) => Buffer.from(text, 'latin1').toString('latin1');

/** Any edit of a text: characters put in, taken out or replaced. */
const edit = (text: string) =>
  fc
    .tuple(fc.nat(text.length), fc.integer({ min: 0, max: 3 }), fc.string({ unit: 'binary', maxLength: 3 }))
    .map(([at, length, more]) => text.slice(0, at) + latin1(more) + text.slice(at + length));

const covered = ['x-service-id', 'content-type', 'authorization', 'content-digest'];

t.test('the request that is mutated here is accepted as it is', async (t) => {
  t.equal(check(request).proven, true);
});

t.test('a random mutation of what is signed is never accepted', async (t) => {
  const part = fc.constantFrom<'method' | 'target' | 'authority' | number>(
    'method',
    'target',
    'authority',
    ...covered.map((name) => (request.fields ?? []).findIndex(([each]) => each === name)),
  );
  fc.assert(
    fc.property(
      part.chain((at) => {
        const text =
          typeof at === 'number'
            ? (request.fields?.[at]?.[1] ?? '')
            : { authority: 'npu-worker', method: '', target: '', ...unsigned }[at];
        return fc.tuple(fc.constant(at), fc.constant(text), edit(text));
      }),
      ([at, before, after]) => {
        if (before === after) return true;
        const fields = (request.fields ?? []).map(
          ([name, value], i) => [name, i === at ? after : value] as const,
        );
        const changed = typeof at === 'number' ? { ...request, fields } : { ...request, [at]: after };
        return !check(changed).proven;
      },
    ),
    { numRuns: 1000 },
  );
  t.pass();
});

t.test('a random mutation of the signature fields is accepted only if it means the same', async (t) => {
  // What the wire format lets a client write in another way: white space, and the label, if in both fields alike.
  const meaning = (text: string) =>
    text.replace(/ +/g, ' ').replace(/\( /, '(').replace(/ \)/, ')').replace(/; /g, ';').trim();
  fc.assert(
    fc.property(
      fc.constantFrom(5, 6).chain((at) => {
        const text = request.fields?.[at]?.[1] ?? '';
        return fc.tuple(fc.constant(at), fc.constant(text), edit(text));
      }),
      ([at, before, after]) => {
        const fields = (request.fields ?? []).map(
          ([name, value], i) => [name, i === at ? after : value] as const,
        );
        const proof = check({ ...request, fields });
        if (proof.proven) return meaning(after).includes(meaning(before).slice(4));
        return reasons[proof.denial.reason].stage === 'verdict' && proof.denial.detail.length > 0;
      },
    ),
    { numRuns: 1000 },
  );
  t.pass();
});

t.test('dropping a line, doubling it or adding one is never accepted where it matters', async (t) => {
  const all = request.fields ?? [];
  for (const [i, [name, value]] of all.entries()) {
    const without = all.filter((_, at) => at !== i);
    if (name !== 'content-length')
      t.equal(check({ ...request, fields: without }).proven, false, `without ${name}`);
    if (name !== 'content-length')
      t.equal(check({ ...request, fields: [...all, [name, value]] }).proven, false, `${name} twice`);
  }
});

t.test('whatever the head holds, the answer is a verdict and never an exception', async (t) => {
  const value = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 40 }).map((text) => latin1(text)),
    fc.constantFrom(...all()),
  );
  fc.assert(
    fc.property(
      fc.array(
        fc.tuple(
          fc.constantFrom(
            'signature-input',
            'signature',
            'x-service-id',
            'trailer',
            'content-length',
            'transfer-encoding',
          ),
          value,
        ),
        { maxLength: 6 },
      ),
      (fields) => {
        const proof = check({ method: 'GET', target: '/', fields });
        return !proof.proven && proof.denial.detail.length > 0;
      },
    ),
    { numRuns: 500 },
  );
  t.pass();
});

/** Values that come near to what the fields may hold. */
function all(): string[] {
  return [
    `svc=${signed.signatureInput}`,
    `svc=${signed.signature}`,
    'main-backend',
    'svc=();tag="countersign"',
    'svc=("@query-param";name="\\"");tag="countersign";created=1;keyid="/";nonce="aaaaaaaaaaaaaaaa"',
    'svc=("x-service-id";sf "signature";key="svc" "trailer";bs);tag="countersign";created=-1;keyid="";nonce="aaaaaaaaaaaaaaaa"',
    'chunked',
    '18446744073709551616',
  ];
}
