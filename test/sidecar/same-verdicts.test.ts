import t from 'tap';
import { exchange } from '../support/raw-http.ts';
import { buildStreamed } from '../support/streamed-request.ts';
import { startTarget, type Target } from './attacks/target.ts';

const logging = await startTarget(t, 'logging');
const enforcing = await startTarget(t, 'enforcing');
const now = () => Math.floor(Date.now() / 1000);
const nonce = 'the-same-nonce-in-both';

/** Every kind of verdict, by what brings it about; each made for the sidecar that gets it. */
const corpus: readonly (readonly [name: string, (target: Target) => string | Buffer])[] = [
  ['allowed', ({ signed }) => signed({ nonce }).bytes],
  ['allowed', ({ signed }) => signed({ method: 'POST', target: '/api/process', body: 'x' }).bytes],
  ['allowed', () => 'GET /api/health HTTP/1.1\r\nHost: anything\r\n\r\n'],
  ['allowed', ({ signed }) => signed({ target: '/api/health', created: 1 }).bytes],
  ['missing-signature', () => 'GET /api/status/7 HTTP/1.1\r\nHost: npu-worker\r\n\r\n'],
  ['missing-signature', ({ signed }) => signed({ tag: 'other' }).bytes],
  ['malformed-signature', ({ signed }) => signed({ parameters: ';alg="none"' }).bytes],
  ['insufficient-coverage', ({ signed }) => signed({ covered: ['@method'] }).bytes],
  ['caller-mismatch', ({ signed }) => signed({ caller: 'ai-stack' }).bytes],
  ['unknown-key', ({ signed }) => signed({ kid: 'main-backend/9' }).bytes],
  ['wrong-audience', ({ signed }) => signed({ host: 'ai-stack' }).bytes],
  ['outside-window', ({ signed }) => signed({ created: now() - 400 }).bytes],
  ['signature-mismatch', ({ signed }) => signed({ key: Buffer.alloc(32) }).bytes],
  ['replayed', ({ signed }) => signed({ nonce }).bytes],
  ['ambiguous-path', ({ signed }) => signed({ target: '/internal/../x' }).bytes],
  ['not-authorized', ({ signed }) => signed({ target: '/api/models' }).bytes],
  ['not-authorized', ({ signed }) => signed({ method: 'POST', target: '/api/models', body: 'x' }).bytes],
  [
    'digest-mismatch',
    ({ signed }) => {
      const { head, body } = signed({ method: 'POST', target: '/api/process', body: 'pay 10' });
      return Buffer.concat([Buffer.from(head, 'latin1'), Buffer.from(String(body).replace('1', '9'))]);
    },
  ],
  [
    'digest-mismatch',
    (target) =>
      buildStreamed({
        ...target.callerKey,
        host: 'npu-worker',
        target: '/api/process',
        signedBody: 'pay 10',
        chunks: ['pay 90'],
      }).bytes,
  ],
  ['malformed-request', () => 'GET  /api/health HTTP/1.1\r\nHost: npu-worker\r\n\r\n'],
  ['not-implemented', () => 'TRACE /api/health HTTP/1.1\r\nHost: npu-worker\r\n\r\n'],
  ['version-not-supported', () => 'GET /api/health HTTP/2.0\r\nHost: npu-worker\r\n\r\n'],
];

async function read(target: Target, path: string): Promise<Response> {
  return fetch(`http://127.0.0.1:${target.admin}${path}`);
}

interface Denial {
  reason: string;
  detail: string;
  rule?: string;
  method: string;
  path: string;
  caller?: string;
  claimed?: string;
}

async function replay(target: Target) {
  const answers: { status: number; reason: string | undefined }[] = [];
  const denials: (Partial<Denial> | undefined)[] = [];
  let seen = 0;
  for (const [, make] of corpus) {
    const { status, reason } = await exchange(t, target.inbound, make(target));
    answers.push({ status, reason });
    const all = ((await (await read(target, '/denials')).json()) as { denials: Denial[] }).denials;
    const newest = all.length > seen ? all[0] : undefined;
    seen = all.length;
    denials.push(
      newest && {
        reason: newest.reason,
        rule: newest.rule ?? '',
        method: newest.method,
        path: newest.path,
        caller: newest.caller ?? '',
        claimed: newest.claimed ?? '',
      },
    );
  }
  const metrics = await (await read(target, '/metrics')).text();
  // The status of the answer is what the disposition makes of the verdict.
  const counted = new Map<string, number>();
  for (const [, labels = '', count] of metrics.matchAll(
    /^countersign_requests_total\{(direction="inbound".*),code="\d+"} (\d+)$/gm,
  ))
    counted.set(labels, (counted.get(labels) ?? 0) + Number(count));
  t.ok(counted.size > 1);
  return { answers, denials, counted };
}

t.test('one corpus, both binaries: the same verdicts, another disposition', async (t) => {
  const [logged, enforced] = [await replay(logging), await replay(enforcing)];
  t.strictSame(logged.denials, enforced.denials, 'the same reasons, rules and callers at /denials');
  t.strictSame(logged.counted, enforced.counted, 'the same counters');
  for (const [index, [name]] of corpus.entries()) {
    t.equal(enforced.denials[index]?.reason ?? 'allowed', name);
    const inBoth = ['malformed-request', 'not-implemented', 'version-not-supported'].includes(name);
    t.equal(
      logged.answers[index]?.status,
      inBoth ? enforced.answers[index]?.status : 200,
      `logging: ${name}`,
    );
    t.equal(enforced.answers[index]?.reason, name === 'allowed' ? undefined : name, 'enforcing');
  }
});
