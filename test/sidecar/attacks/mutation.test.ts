import fc from 'fast-check';
import t from 'tap';
import { parseYaml } from '../../../config/load.ts';
import { compileMatrix } from '../../../sidecar/config/authorization.ts';
import { frameRequest } from '../../../sidecar/http1/framing.ts';
import { parseRequestHead } from '../../../sidecar/http1/head-parser.ts';
import { assemblyBuffer } from '../../../sidecar/http1/llhttp.ts';
import { decide } from '../../../sidecar/policy/decide.ts';
import { DigestCheck } from '../../../sidecar/signature/content-digest.ts';
import { PairKey } from '../../../sidecar/signature/hmac.ts';
import type { VerifierKeys } from '../../../sidecar/signature/verifier-keys.ts';
import { buildSigned } from '../../support/signed-request.ts';

const key = Buffer.alloc(32, 7);
const kid = 'main-backend/1';
const keyring: VerifierKeys = {
  service: 'npu-worker',
  host: '127.0.0.1',
  inbound: new Map([
    [kid, { kid, caller: 'main-backend', key: new PairKey(key), notAfterMs: Number.POSITIVE_INFINITY }],
  ]),
};
const rules = compileMatrix(
  parseYaml('a.yaml', 'services: { npu-worker: { callers: { main-backend: [ "* /**" ] } } }'),
).of('npu-worker');

/** Fields that change what a call means to somebody, so that none may come, go or change. */
const meaningful = [
  'x-service-id',
  'content-digest',
  'content-type',
  'content-encoding',
  'authorization',
  'cookie',
  'range',
  'x-forwarded-for',
  'x-http-method-override',
  'x-original-url',
];

/** What an accepted call means; undefined when the call is refused, by whatever stage. */
function accepted(bytes: Buffer): string | undefined {
  const end = bytes.indexOf('\r\n\r\n') + 4;
  if (end < 4) return undefined;
  bytes.copy(assemblyBuffer, 0, 0, end);
  const head = parseRequestHead(assemblyBuffer, 0, end, 100);
  if ('error' in head || frameRequest(head, false) !== undefined) return undefined;
  const decision = decide(head, {
    keyring,
    rules,
    audience: new Set(['npu-worker']),
    replay: { admit: () => 'fresh' },
    nowMs: Date.now(),
  });
  if ('unmarked' in decision || !decision.verdict.allowed || decision.proof === undefined) return undefined;
  const { caller, nonce, created, body: proven } = decision.proof;
  if (head.body === 'chunked') throw new Error('a body that was not chunked has become so');
  const body = bytes.subarray(end, end + head.contentLength);
  if (proven.by === 'digest') {
    const check = new DigestCheck(proven.digest);
    check.update(body);
    if (body.length !== head.contentLength || check.verdict() !== undefined) return undefined;
  }
  return JSON.stringify([
    head.method,
    head.path,
    head.query,
    head.authority,
    caller,
    nonce,
    created,
    body.toString('latin1'),
    ...meaningful.map((name) => head.field(name) ?? null),
  ]);
}

const requests = [
  buildSigned({ kid, key, host: 'npu-worker', target: '/api/status/7?a=1&b=%20' }),
  buildSigned({
    kid,
    key,
    host: 'npu-worker',
    method: 'POST',
    target: '/api/process',
    body: 'pay 10 to bob',
    fields: [
      ['Content-Type', 'text/plain'],
      ['Cookie', 'a=1'],
      ['X-Trace', 'not covered'],
    ],
  }),
].map(({ bytes }) => ({ bytes, meaning: accepted(bytes) }));

const byte = fc.oneof(
  fc.integer({ min: 0, max: 255 }),
  fc.constantFrom(...Buffer.from('\r\n\0 \t:;,"=/%.0_-')),
);
const mutation = fc.oneof(
  fc.record({ kind: fc.constant('flip' as const), at: fc.nat(), byte: fc.integer({ min: 1, max: 255 }) }),
  fc.record({ kind: fc.constant('insert' as const), at: fc.nat(), byte }),
  fc.record({ kind: fc.constant('delete' as const), at: fc.nat(), byte }),
  fc.record({ kind: fc.constant('replace' as const), at: fc.nat(), byte }),
);

function mutate(
  bytes: Buffer,
  { kind, at, byte: value }: { kind: string; at: number; byte: number },
): Buffer {
  const place = at % bytes.length;
  const before = bytes.subarray(0, place);
  const behind = bytes.subarray(kind === 'insert' ? place : place + 1);
  const own = bytes[place]!;
  const put = kind === 'delete' ? [] : [kind === 'flip' ? own ^ value : value];
  return Buffer.concat([before, Buffer.from(put), behind]);
}

t.test('the requests themselves are accepted', async (t) => {
  for (const { meaning } of requests) t.type(meaning, 'string');
});

t.test('no mutation of a signed request is accepted as something else', async (t) => {
  let still = 0;
  fc.assert(
    fc.property(
      fc.constantFrom(...requests),
      fc.array(mutation, { minLength: 1, maxLength: 3 }),
      ({ bytes, meaning }, mutations) => {
        const after = accepted(mutations.reduce(mutate, bytes));
        if (after === undefined) return;
        still++;
        if (after !== meaning) throw new Error(`accepted as ${after}`);
      },
    ),
    { numRuns: 20_000 },
  );
  t.ok(still > 100, `${still} of them changed nothing that is covered`);
});

t.test('every single byte, in every way', async (t) => {
  const wrong: string[] = [];
  for (const { bytes, meaning } of requests) {
    for (let at = 0; at < bytes.length; at++) {
      for (const value of [0x01, 0x20, 0x80]) {
        const after = accepted(mutate(bytes, { kind: 'flip', at, byte: value }));
        if (after !== undefined && after !== meaning) wrong.push(`${at} ^ ${value}: ${after}`);
      }
      const after = accepted(mutate(bytes, { kind: 'delete', at, byte: 0 }));
      if (after !== undefined && after !== meaning) wrong.push(`without ${at}: ${after}`);
    }
  }
  t.strictSame(wrong, []);
});
