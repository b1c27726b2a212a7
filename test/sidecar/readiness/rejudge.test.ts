import t from 'tap';
import { parseYaml } from '../../../config/load.ts';
import { compileMatrix } from '../../../sidecar/config/authorization.ts';
import { rejudge } from '../../../sidecar/readiness/rejudge.ts';
import { reasons } from '../../../sidecar/terms/reasons.ts';
import { authorizationYaml, observedRow } from '../../support/gathered-fleet.ts';

const rules = compileMatrix(parseYaml('authorization.yaml', authorizationYaml)).of('npu-worker');
const open = { caller: undefined, path: '/api/health', example: '/api/health' } as const;

t.test('what the matrix decided is decided anew', async (t) => {
  t.match(rejudge(observedRow(), rules), { allowed: true, rule: 'main-backend: GET /api/status/*' });
  t.match(rejudge(observedRow({ verdict: 'denied', reason: 'not-authorized' }), rules), { allowed: true });
  t.match(rejudge(observedRow({ method: 'PUT' }), rules), {
    allowed: false,
    denial: { reason: 'not-authorized' },
  });
  t.match(rejudge(observedRow({ caller: 'ai-stack' }), rules), { allowed: false });
  t.match(rejudge(observedRow({ example: '/api/status/../x' }), rules), {
    allowed: false,
    denial: { reason: 'ambiguous-path' },
  });
});

t.test('a plain path that was ambiguous stays so: a field asked for another call', async (t) => {
  t.match(rejudge(observedRow({ verdict: 'denied', reason: 'ambiguous-path' }), rules), {
    allowed: false,
    denial: { reason: 'ambiguous-path' },
  });
});

t.test('a raw path judges better than its template', async (t) => {
  const row = observedRow({ path: '/api/*', example: '/api/process', method: 'POST' });
  t.match(rejudge(row, rules), { allowed: true });
  t.match(rejudge(observedRow({ example: undefined }), rules), { allowed: true }, 'which is a fallback');
});

t.test('what the signature decided stands, but for what needs none', async (t) => {
  for (const [reason, { stage }] of Object.entries(reasons)) {
    if (reason === 'not-authorized' || reason === 'ambiguous-path') continue;
    const judged = rejudge(observedRow({ verdict: 'denied', reason }), rules);
    if (stage === 'verdict') t.match(judged, { allowed: false, denial: { reason } }, reason);
    else t.equal(judged, undefined, `${reason} is no verdict's business`);
  }
  t.match(rejudge(observedRow({ ...open, verdict: 'denied', reason: 'missing-signature' }), rules), {
    allowed: true,
    rule: 'public: GET /api/health',
  });
  t.match(rejudge(observedRow({ ...open, verdict: 'denied', reason: 'digest-mismatch' }), rules), {
    allowed: false,
  });
});
