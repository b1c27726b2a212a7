import t from 'tap';
import { requiredComponents } from '../../../sidecar/signature/coverage-rules.ts';
import { findOurMember, rememberCoverage } from '../../../sidecar/signature/our-member.ts';
import { headTag } from '../../../sidecar/signature/tags.ts';
import { plainRequest } from '../../support/plain-request.ts';

const mac = Buffer.alloc(32, 1).toString('base64');
const params = (tag = headTag) =>
  `;created=1764000000;keyid="main-backend/3";nonce="0123456789abcdef";tag="${tag}"`;
const ours = `("@method" "@path")${params()}`;
const find = (input: string, signature: string) => findOurMember(input, signature, headTag);

t.test(
  'attack: two members with our tag are refused, although each is whole and has its signature',
  async (t) => {
    const signatures = `a=:${mac}:, b=:${mac}:, c=:${mac}:`;
    const other = `("@path")${params('other')}`;
    for (const input of [
      `a=${ours}, b=${ours}`,
      `a=${ours}, c=${other}, b=${ours}`,
      `c=${other}, a=${ours}, b=${ours}`,
      // Each is enough: none of the two can be taken for another party's.
      `a=${ours}, b=("@path");tag=countersign`,
      `a=1;tag="countersign", b=${ours}`,
    ])
      t.throws(() => find(input, signatures), {
        code: 'malformed-signature',
        message: /^[ab] and [ab] both have tag="countersign"; expected one such member$/,
      });
    t.match(find(`a=${ours}, c=${other}`, signatures), { label: 'a', alone: false });
    t.match(find(`c=${other}, b=${ours}`, signatures), { label: 'b', alone: false });
    t.match(find(`a=${ours}`, `a=:${mac}:`), { label: 'a', alone: true });
    t.match(find(`a=${ours}`, signatures), { alone: false }, 'a signature of somebody else is beside it');
  },
);

/** A coverage as somebody signs it: a proven caller may cover what it likes. */
const input = (n: number, width = 0) => `svc=("@method" "x-${n}${'a'.repeat(width)}")${params()}`;
const coverageOf = (text: string) => find(text, `svc=:${mac}:`)!.coverage;

t.test('the coverages at hand are bounded in number and length', async (t) => {
  rememberCoverage(coverageOf(input(0)));
  const first = coverageOf(input(0));
  t.equal(coverageOf(input(0)), first, 'it is at hand');
  let kept = 1;
  for (let n = 1; n <= 600; n++) {
    rememberCoverage(coverageOf(input(n)));
    if (coverageOf(input(0)) === first) kept++;
  }
  t.ok(kept <= 512, `${kept} at once`);
  t.ok(kept > 256, 'and not just a few');
  const long = input(1, 1200);
  rememberCoverage(coverageOf(long));
  t.not(coverageOf(long), coverageOf(long), 'one that is too long is parsed each time');
});

t.test('the lists of components to cover are bounded in number', async (t) => {
  const optional = ['content-type', 'content-encoding', 'authorization', 'cookie', 'range', 'upgrade'];
  const further = [
    'x-forwarded-for',
    'x-http-method',
    'x-method-override',
    'x-original-url',
    'x-rewrite-url',
  ];
  const names = [...optional, ...further];
  const of = (set: number) =>
    requiredComponents(
      plainRequest({ fields: names.filter((_, i) => (set & (1 << i)) !== 0).map((name) => [name, 'x']) }),
      'digest',
    );
  const first = of(1);
  t.equal(of(1), first);
  let kept = 0;
  for (let set = 2; set < 2048; set++) {
    of(set);
    if (of(1) === first) kept++;
    else break;
  }
  t.ok(kept > 100 && kept < 1024, `${kept} others at once`);
  t.strictSame(of(1), first, 'and it is made again');
});

t.test('and so are those with further fields of fleet.yaml', async (t) => {
  const of = (n: number) =>
    requiredComponents(plainRequest({ fields: [[`x-${n}`, '1']] }), 'digest', [`x-${n}`]);
  const first = of(0);
  t.ok(first.includes('x-0'));
  t.equal(of(0), first);
  let kept = 0;
  for (let n = 1; n < 2048; n++) {
    of(n);
    if (of(0) === first) kept++;
    else break;
  }
  t.ok(kept > 100 && kept < 1024, `${kept} others at once`);
});
