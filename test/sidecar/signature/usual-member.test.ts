import fc from 'fast-check';
import t from 'tap';
import { findOurMember, type OurMember } from '../../../sidecar/signature/our-member.ts';
import { SignatureError } from '../../../sidecar/signature/signature-error.ts';
import { headTag } from '../../../sidecar/signature/tags.ts';
import { isMac, UsualMembers } from '../../../sidecar/signature/usual-member.ts';

const mac = Buffer.alloc(32, 0xa7).toString('base64');
const usual =
  'svc=("@method" "@path" "x-service-id");created=1764000000;keyid="main-backend/3";nonce="0123456789abcdef";tag="countersign"';
const usualSignature = `svc=:${mac}:`;

/** What the general parser makes of the fields; undefined for errors. */
function general(signatureInput: string, signature: string): OurMember | undefined {
  try {
    return findOurMember(signatureInput, signature, headTag);
  } catch (error) {
    if (error instanceof SignatureError) return undefined;
    throw error;
  }
}

/** A memory of what the general parser makes of these fields. */
function memoryOf(...proven: readonly (readonly [input: string, signature: string])[]): UsualMembers {
  const members = new UsualMembers(8);
  for (const [input, signature] of proven) {
    const member = general(input, signature);
    if (member === undefined) throw new Error(`no member in ${input}`);
    members.remember(member, input, signature);
  }
  return members;
}

const text = (member: OurMember | undefined) =>
  member === undefined ? undefined : { ...member, coverage: member.coverage.text };
const later = usual.replace('1764000000', '1764000001').replace('0123456789abcdef', 'another, nonce: 22');

t.test('reads what repeats a proven member as the general parser does', async (t) => {
  const members = memoryOf([usual, usualSignature]);
  const read = members.read(later, usualSignature);
  t.ok(read, 'is taken');
  t.same(text(read), text(general(later, usualSignature)));
});

t.test('leaves everything else to the general parser', async (t) => {
  const members = memoryOf([usual, usualSignature]);
  for (const [what, input, signature] of [
    ['a coverage that nobody proved', usual.replace('"@path"', '"@query"'), usualSignature],
    ['a key id that nobody proved', usual.replace('main-backend/3', 'main-backend/4'), usualSignature],
    ['another tag', usual.replace('"countersign"', '"countersign-trailer"'), usualSignature],
    ['a further parameter', `${usual};expires=1764000300`, usualSignature],
    ['a parameter in front', usual.replace(';keyid', ';expires=1764000300;keyid'), usualSignature],
    ['a further member', `${usual}, b=("@path")`, usualSignature],
    ['a member in front', `b=("@path"), ${usual}`, usualSignature],
    ['an escape', usual.replace('0123456789abcdef', '0123456789abcd\\"'), usualSignature],
    ['a quote', usual.replace('0123456789abcdef', '0123456789abcd";a="'), usualSignature],
    ['created with a leading zero', usual.replace('=17', '=07'), usualSignature],
    ['created with 9 digits', usual.replace('=1764000000', '=176400000'), usualSignature],
    ['created with 11 digits', usual.replace('=1764000000', '=17640000000'), usualSignature],
    ['a decimal', usual.replace('=1764000000', '=17640000.0'), usualSignature],
    ['a negative one', usual.replace('=1764000000', '=-176400000'), usualSignature],
    ['a short nonce', usual.replace('0123456789abcdef', '0123456789abcde'), usualSignature],
    ['a long nonce', usual.replace('0123456789abcdef', 'a'.repeat(129)), usualSignature],
    ['raw bytes in the nonce', usual.replace('0123456789abcdef', '0123456789abcd\xe4\xf6'), usualSignature],
    ['another label', usual, `svd=:${mac}:`],
    ['a longer label', usual, `svcx=:${mac}:`],
    ['a further signature', usual, `${usualSignature}, b=:AA==:`],
    ['30 bytes', usual, `svc=:${Buffer.alloc(30).toString('base64')}:`],
    ['no colon', usual, `svc=:${mac}`],
    ['no signature', usual, undefined],
    ['nothing', undefined, usualSignature],
  ] as const)
    t.equal(members.read(input, signature), undefined, what);
});

t.test('remembers no form in which it cannot tell what changes', async (t) => {
  for (const [what, input, signature] of [
    ['an escaped key id', usual.replace('main-backend/3', 'main-backend\\"/3'), usualSignature],
    ['another order', usual.replace(/(;created=\d+)(;keyid="[^"]*")/, '$2$1'), usualSignature],
    ['white space', usual.replace('("', '( "'), usualSignature],
    ['another signature', usual, `${usualSignature}, b=:AA==:`],
    ['created with 9 digits', usual.replace('=1764000000', '=176400000'), usualSignature],
    ['more than is worth it', usual.replace('"@path"', `"${'a'.repeat(1000)}"`), usualSignature],
  ] as const) {
    const member = general(input, signature);
    t.ok(member, `${what}: is understood`);
    t.equal(memoryOf([input, signature]).read(input, signature), undefined, what);
  }
});

t.test('forgets what is not used, for what was proven last', async (t) => {
  const form = (n: number) => usual.replace('main-backend/3', `main-backend/${n}`);
  const members = memoryOf(...Array.from({ length: 8 }, (_, n) => [form(n), usualSignature] as const));
  for (let n = 0; n < 7; n++) t.ok(members.read(form(0), usualSignature), 'the first one is used');
  members.remember(general(form(8), usualSignature) as OurMember, form(8), usualSignature);
  t.same(
    Array.from({ length: 9 }, (_, n) => members.read(form(n), usualSignature)?.keyid),
    Array.from({ length: 9 }, (_, n) => (n === 1 ? undefined : `main-backend/${n}`)),
  );
});

t.test('knows the base64 of 32 bytes', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) =>
      isMac(Buffer.from(bytes).toString('base64')),
    ),
  );
  t.equal(isMac(`${mac.slice(0, -2)}l=`), false, 'stray bits');
  t.equal(isMac(Buffer.alloc(31).toString('base64')), false, '31 bytes');
  t.equal(isMac(Buffer.alloc(33).toString('base64')), false, '33 bytes');
  t.equal(isMac(`${mac.slice(0, -2)}\xe4=`), false, 'no digit');
});

t.test('whatever is changed, it never answers where the general parser answers otherwise', async (t) => {
  const members = memoryOf(
    [usual, usualSignature],
    [usual.replace('"@path" ', ''), usualSignature],
    [usual.replaceAll('svc', 'a'), usualSignature.replace('svc', 'a')],
  );
  const alphabet = [...'svc=():;"\\@, \t=+/.019az*', 'created', 'nonce', 'tag', '"x"', ';alg="hmac-sha256"'];
  const change = fc.record({
    at: fc.nat(usual.length),
    cut: fc.nat(3),
    put: fc.constantFrom('', ...alphabet),
    inSignature: fc.boolean(),
  });
  const changed = (text: string, { at, cut, put }: { at: number; cut: number; put: string }) =>
    text.slice(0, at % (text.length + 1)) + put + text.slice((at % (text.length + 1)) + cut);
  let taken = 0;
  fc.assert(
    fc.property(fc.array(change, { maxLength: 2 }), (changes) => {
      let input = usual;
      let signature = usualSignature;
      for (const one of changes) {
        if (one.inSignature) signature = changed(signature, one);
        else input = changed(input, one);
      }
      const quick = members.read(input, signature);
      if (quick === undefined) return;
      taken++;
      // What is no MAC is read anew by the general parser.
      if (isMac(quick.mac)) t.same(text(quick), text(general(input, signature)));
    }),
    { numRuns: 20_000 },
  );
  t.ok(taken > 100, `${taken} of them are taken`);
});
