import t from 'tap';
import { parseYaml } from '../../../config/load.ts';
import { compileMatrix } from '../../../sidecar/config/authorization.ts';
import { type Admission, decide } from '../../../sidecar/policy/decide.ts';
import { PairKey } from '../../../sidecar/signature/hmac.ts';
import { signRequest } from '../../../sidecar/signature/sign.ts';
import { plainRequest } from '../../support/plain-request.ts';

const key = new PairKey(Buffer.alloc(32, 7));
const kid = 'main-backend/2';
const now = 1_764_000_000;
const rules = compileMatrix(
  parseYaml(
    'authorization.yaml',
    `services:
  npu-worker:
    public: [ GET /api/health ]
    callers:
      main-backend: [ GET /api/status/* ]
`,
  ),
).of('npu-worker');
const covered = ['@method', '@authority', '@path', '@query', 'x-service-id'];

/** The decision on a signed call, when the replay memory answers `admission`. */
function decided(target: string, admission: Admission, method = 'GET', mac = key) {
  const asked: unknown[] = [];
  const plain = { method, target, fields: [['x-service-id', 'main-backend']] as [string, string][] };
  const params = { kid, created: now, nonce: 'abcdefghijklmnop' };
  const { signatureInput, signature } = signRequest(plainRequest(plain), covered, mac, params);
  plain.fields.push(['signature-input', `svc=${signatureInput}`], ['signature', `svc=${signature}`]);
  const decision = decide(plainRequest(plain), {
    keyring: {
      service: 'npu-worker',
      host: '172.16.168.22',
      inbound: new Map([[kid, { kid, caller: 'main-backend', key, notAfterMs: Number.POSITIVE_INFINITY }]]),
    },
    rules,
    audience: new Set(['npu-worker']),
    replay: {
      admit: (...what) => {
        asked.push(what);
        return admission;
      },
    },
    nowMs: now * 1000,
  });
  return { decision, asked };
}

t.test('a fresh call is decided by the matrix, and its caller is proven', async (t) => {
  const { decision, asked } = decided('/api/status/7', 'fresh');
  t.match(decision, {
    verdict: { allowed: true, rule: 'main-backend: GET /api/status/*', caller: 'main-backend', kid },
    proof: { caller: 'main-backend' },
    open: false,
  });
  t.strictSame(asked, [[kid, 'abcdefghijklmnop', now, 'plain']], 'one question about exactly this nonce');
  t.match(decided('/api/other', 'fresh').decision, {
    verdict: { allowed: false, denial: { reason: 'not-authorized' }, caller: 'main-backend', kid },
    proof: { caller: 'main-backend' },
    open: false,
  });
  t.match(decided('/api/health', 'fresh').decision, {
    verdict: { allowed: true, caller: 'main-backend' },
    open: true,
  });
});

t.test('whatever else the replay memory says, the call is denied for it and nobody is proven', async (t) => {
  const reasons = {
    replayed: 'replayed',
    full: 'replay-memory-full',
    lost: 'memory-lost',
    ahead: 'outside-window',
  } as const;
  for (const [admission, reason] of Object.entries(reasons) as [keyof typeof reasons, string][]) {
    for (const target of ['/api/status/7', '/api/other']) {
      const { decision } = decided(target, admission);
      t.match(decision, {
        verdict: { allowed: false, denial: { reason }, claimed: 'main-backend', kid },
        open: false,
      });
      t.notOk('caller' in (decision as { verdict: object }).verdict, `${admission}: no caller`);
      t.equal((decision as { proof: unknown }).proof, undefined);
    }
    const { decision } = decided('/api/health', admission);
    t.match(decision, { verdict: { allowed: true, rule: 'public: GET /api/health' }, open: true });
    t.equal((decision as { proof: unknown }).proof, undefined, 'on a public route it is nobody’s call');
    t.notOk('caller' in (decision as { verdict: object }).verdict);
  }
});

t.test('a call that no durable mark covers is not decided yet', async (t) => {
  for (const target of ['/api/status/7', '/api/health', '/api/other'])
    t.strictSame(decided(target, 'unmarked').decision, { unmarked: { kid, created: now } });
});

t.test('a call that is not proven is never asked about in the replay memory', async (t) => {
  const { decision, asked } = decided('/api/status/7', 'fresh', 'GET', new PairKey(Buffer.alloc(32, 8)));
  t.match(decision, { verdict: { allowed: false, denial: { reason: 'signature-mismatch' } }, open: false });
  t.strictSame(asked, []);
});
