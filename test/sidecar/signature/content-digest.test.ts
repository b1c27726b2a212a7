import fc from 'fast-check';
import t from 'tap';
import {
  checkDigest,
  contentDigest,
  DigestCheck,
  DigestHasher,
  parseContentDigest,
} from '../../../sidecar/signature/content-digest.ts';

const body = Buffer.from('{"hello": "world"}\n');

/** RFC 9530 appendix B: the digests of that body. */
const sha256 = 'sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:';
const sha512 =
  'sha-512=:YMAam51Jz/jOATT6/zvHrLVgOYTGFy1d6GJiOHTohq4yP+pgk4vf2aCsyRZOtw8MjkM7iw7yZ/WkppmM44T3qg==:';

const check = (field: string | undefined, chunks: readonly Buffer[], trailer?: string) => {
  const digest = new DigestCheck(field);
  for (const chunk of chunks) digest.update(chunk);
  return digest.verdict(trailer);
};

t.test('makes the digests of RFC 9530', async (t) => {
  t.equal(contentDigest(body), sha256);
  t.equal(contentDigest(body, 'sha-512'), sha512);
  const hasher = new DigestHasher();
  hasher.update(body.subarray(0, 7));
  hasher.update(body.subarray(7));
  t.equal(hasher.contentDigest(), sha256);
});

t.test('accepts the body that belongs to it, in whatever pieces', async (t) => {
  for (const field of [sha256, sha512, `${sha256}, ${sha512}`, `md5=:AAAA:,  ${sha256};q=1`])
    for (const cut of [0, 1, 10, body.length])
      t.equal(check(field, [body.subarray(0, cut), body.subarray(cut)]), undefined, field);
});

t.test('refuses a body that was changed, cut or extended', async (t) => {
  const other = Buffer.from(body);
  other[3]! ^= 1;
  for (const changed of [
    other,
    body.subarray(1),
    body.subarray(0, -1),
    Buffer.concat([body, Buffer.from(' ')]),
    Buffer.alloc(0),
  ])
    for (const field of [sha256, sha512]) t.match(check(field, [changed]), { reason: 'digest-mismatch' });
  t.match(
    check(`${sha256}, ${contentDigest(other, 'sha-512')}`, [body]),
    { reason: 'digest-mismatch' },
    'all must match',
  );
});

t.test('a body that is at hand is judged as one that passes', async (t) => {
  const pieces = fc.constantFrom(
    sha256,
    sha512,
    'md5=:AAAA:',
    ',',
    ' ',
    ';q=1',
    '=',
    ':',
    'A',
    contentDigest(Buffer.alloc(0)),
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 4 }), fc.constantFrom(body, Buffer.alloc(0)), (parts, sent) => {
      const field = parts.join('');
      t.strictSame(checkDigest(field, sent), check(field, [sent]), field);
    }),
  );
  for (const field of [sha256, sha512, `${sha256}, ${sha512}`]) t.equal(checkDigest(field, body), undefined);
});

t.test('refuses a field that says nothing we can check', async (t) => {
  for (const field of [
    '',
    'md5=:1B2M2Y8AsgTpgAmY7PhCfg==:',
    'sha-256',
    'sha-256=1',
    'sha-256="RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg="',
    'sha-256=:AAAA:',
    'SHA-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:',
    `${sha256}, sha-256=:AAAA:`,
    `${sha256},`,
    'sha-256=(:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:)',
  ]) {
    t.throws(() => parseContentDigest(field), { code: 'malformed-structured-field' }, field);
    t.match(check(field, [body]), { reason: 'digest-mismatch' }, field);
  }
});

t.test('in the streaming form the digest comes last, and is SHA-256', async (t) => {
  t.equal(check(undefined, [body], sha256), undefined);
  t.equal(check(undefined, [body], `${sha512}, ${sha256}`), undefined);
  t.match(check(undefined, [body], sha512), { reason: 'digest-mismatch', expected: 'sha-256' });
  t.match(check(undefined, [body]), { reason: 'digest-mismatch' }, 'no trailer');
  t.match(check(undefined, [body.subarray(1)], sha256), { reason: 'digest-mismatch' });
});

t.test('a body at hand is judged as one that passes', async (t) => {
  const algorithm = fc.constantFrom('sha-256' as const, 'sha-512' as const);
  const member = fc.oneof(
    fc
      .tuple(algorithm, fc.boolean())
      .map(([name, right]) => contentDigest(right ? body : Buffer.from('x'), name)),
    fc.constantFrom('md5=:AAAA:', 'sha-256=:AAAA:', 'sha-256=1', ''),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(member, { maxLength: 3 }), (members) => {
      const field = members.join(', ');
      t.same(checkDigest(field, body), check(field, [body]), field);
    }),
  );
});
