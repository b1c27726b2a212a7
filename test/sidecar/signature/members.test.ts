import fc from 'fast-check';
import t from 'tap';
import { freeLabel, withoutOurMembers } from '../../../sidecar/signature/members.ts';

const ours = '("@method");created=1;keyid="a/1";tag="countersign"';

t.test("leaves other parties' members byte for byte", async (t) => {
  const untouched = [
    ['a=("@path"  "date");created=1;tag="other"', 'a=:AA==:'],
    ['a=("@path");created=1 ,\tb=1', 'a=:AA==: ,\tb=:AQ==:'],
    ['not a dictionary at all', '((('],
  ] as const;
  for (const [signatureInput, signature] of untouched)
    t.same(withoutOurMembers(signatureInput, signature), { signatureInput, signature });
  t.same(withoutOurMembers(undefined, 'a=:AA==:'), { signature: 'a=:AA==:' });
  t.same(withoutOurMembers(undefined, undefined), {});
});

t.test('takes our members out, whatever their labels and wherever they stand', async (t) => {
  t.same(withoutOurMembers(`svc=${ours}`, 'svc=:AA==:'), {});
  t.same(withoutOurMembers(`x=${ours}, b=("@path"  );tag="t", y=${ours}`, 'b=:Aw==:, y=:AA==:,x=:AA==:'), {
    signatureInput: 'b=("@path"  );tag="t"',
    signature: 'b=:Aw==:',
  });
  t.same(withoutOurMembers('a=("@path");tag="countersign-trailer", b=1', 'b=:Aw==:'), {
    signatureInput: 'b=1',
    signature: 'b=:Aw==:',
  });
  t.same(withoutOurMembers('a=("@path");tag=countersign', 'a=:Aw==:'), {}, 'a token for a tag hides nothing');
  t.same(withoutOurMembers(`svc=${ours}`, undefined), {});
});

t.test('leaves out wholly what hides our tag in a field that does not parse', async (t) => {
  t.same(withoutOurMembers(`svc=${ours}, `, 'svc=:AA==:'), {});
  t.same(withoutOurMembers(`svc=${ours}, svc=${ours}`, 'svc=:AA==:'), {});
  t.same(withoutOurMembers(`svc=${ours}, b=1`, 'svc=:AA'), { signatureInput: 'b=1' });
});

t.test('nothing with our tag ever remains', async (t) => {
  const member = fc.oneof(
    fc.constant(ours),
    fc.constant('("@path");tag="other"'),
    fc.constant('1;tag=countersign'),
    fc.stringMatching(/^[ -~]{0,20}$/),
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.stringMatching(/^[a-z]{1,2}$/), member), { maxLength: 5 }),
      (members) => {
        const text = members.map(([label, value]) => `${label}=${value}`).join(', ');
        const rest = withoutOurMembers(text, undefined).signatureInput ?? '';
        return !/tag="?countersign/.test(rest);
      },
    ),
  );
  t.pass();
});

t.test('finds a label that nobody uses', async (t) => {
  t.equal(freeLabel({}), 'svc');
  t.equal(freeLabel({ signatureInput: 'a=("@path")', signature: 'a=:AA==:' }), 'svc');
  t.equal(freeLabel({ signatureInput: 'svc=("@path")', signature: 'svc=:AA==:' }), 'svc-2');
  t.equal(freeLabel({ signature: 'svc=:AA==:, svc-2=:AA==:' }), 'svc-3');
});
