import fc from 'fast-check';
import t from 'tap';
import { coverageOf } from '../../../sidecar/signature/components.ts';
import { checkCoverage } from '../../../sidecar/signature/coverage-rules.ts';
import { findOurMember } from '../../../sidecar/signature/our-member.ts';
import { SignatureError } from '../../../sidecar/signature/signature-error.ts';
import { parseMembers } from '../../../sidecar/signature/structured-fields.ts';
import { headTag } from '../../../sidecar/signature/tags.ts';
import { usualMember } from '../../../sidecar/signature/usual-member.ts';

const list = '("@method" "@path" "x-service-id")';
const [parsed] = parseMembers(`svc=${list}`);
const coverage = checkCoverage(coverageOf(parsed?.member.items ?? []));
const known = new Map([[list, coverage]]);
const mac = Buffer.alloc(32, 0xa7).toString('base64');
const usual = `svc=${list};created=1764000000;keyid="main-backend/3";nonce="0123456789abcdef";tag="countersign"`;

/** What the general parser makes of the fields, which has not been told of any coverage; undefined for errors. */
function general(signatureInput: string, signature: string) {
  try {
    return findOurMember(`${signatureInput} `, signature, headTag);
  } catch (error) {
    if (error instanceof SignatureError) return undefined;
    throw error;
  }
}

t.test('reads what our outbound writes as the general parser does', async (t) => {
  const fast = usualMember(usual, `svc=:${mac}:`, known);
  const slow = general(usual, `svc=:${mac}:`);
  t.ok(fast, 'is taken');
  t.same({ ...fast, coverage: fast?.coverage.text }, { ...slow, coverage: slow?.coverage.text });
});

t.test('leaves everything else to the general parser', async (t) => {
  const signature = `svc=:${mac}:`;
  for (const [what, input, signed] of [
    ['a coverage that nobody proved', usual.replace('"@path"', '"@query"'), signature],
    ['another tag', usual.replace('"countersign"', '"countersign-trailer"'), signature],
    ['a further parameter', `${usual};expires=1764000300`, signature],
    ['a further member', `${usual}, b=("@path")`, signature],
    ['an escape', usual.replace('main-backend/3', 'main\\"backend/3'), signature],
    ['created with a leading zero', usual.replace('=17', '=017'), signature],
    ['created with 16 digits', usual.replace('=1764000000', '=1764000000000000'), signature],
    ['a decimal', usual.replace('=1764000000', '=1764000000.0'), signature],
    ['a short nonce', usual.replace('0123456789abcdef', '0123456789abcde'), signature],
    ['another label', usual, `svd=:${mac}:`],
    ['a longer label', usual, `svcx=:${mac}:`],
    ['a further signature', usual, `svc=:${mac}:, b=:AA==:`],
    ['stray bits', usual, `svc=:${mac.slice(0, -2)}l=:`],
    ['31 bytes', usual, `svc=:${Buffer.alloc(31).toString('base64')}:`],
    ['no colon', usual, `svc=:${mac}`],
    ['no signature', usual, undefined],
  ] as const)
    t.equal(usualMember(input, signed, known), undefined, what);
});

t.test('whatever is changed, it never answers where the general parser answers otherwise', async (t) => {
  const alphabet = [...'svc=():;"\\@, \t=+/.019az*', 'created', 'nonce', 'tag', '"x"', ';alg="hmac-sha256"'];
  const change = fc.record({
    at: fc.nat(usual.length),
    cut: fc.nat(3),
    put: fc.constantFrom('', ...alphabet),
    inSignature: fc.boolean(),
  });
  const changed = (text: string, { at, cut, put }: { at: number; cut: number; put: string }) =>
    text.slice(0, at % (text.length + 1)) + put + text.slice((at % (text.length + 1)) + cut);
  fc.assert(
    fc.property(fc.array(change, { maxLength: 2 }), (changes) => {
      let input = usual;
      let signature = `svc=:${mac}:`;
      for (const one of changes) {
        if (one.inSignature) signature = changed(signature, one);
        else input = changed(input, one);
      }
      const fast = usualMember(input, signature, known);
      if (fast === undefined) return;
      const slow = general(input, signature);
      t.same({ ...fast, coverage: fast.coverage.text }, { ...slow, coverage: slow?.coverage.text });
    }),
    { numRuns: 20_000 },
  );
});
