import t from 'tap';
import { faultsIn, parses, withFault } from '../../../tools/mutants/faults.ts';
import { drawn, sample } from '../../../tools/mutants/sample.ts';

const source = `// é: offsets count UTF-16 units
export function check(age: number, limit: number, open: boolean): boolean {
  if (!open && age - 1 <= limit) return true;
  note(age as number);
  return open ? age === 3 : false;
}
`;

t.test('makes each kind of fault where it belongs', async (t) => {
  const made = faultsIn(source).map((fault) => {
    const line = withFault(source, fault).split('\n')[fault.line - 1] as string;
    return `${fault.kind}: ${line.trim()}`;
  });
  for (const expected of [
    'condition: if (true) return true;',
    'condition: if (false) return true;',
    'condition: if ( open && age - 1 <= limit) return true;',
    'logic: if (!open || age - 1 <= limit) return true;',
    'comparison: if (!open && age - 1 < limit) return true;',
    'arithmetic: if (!open && age + 1 <= limit) return true;',
    'number: if (!open && age - 2 <= limit) return true;',
    'boolean: if (!open && age - 1 <= limit) return false;',
    'statement: ;',
    'comparison: return open ? age !== 3 : false;',
    'boolean: return open ? age === 3 : true;',
  ])
    t.ok(made.includes(expected), expected);
  t.equal(new Set(made).size, made.length, 'no fault twice');
});

t.test('tells what is no program', async (t) => {
  t.ok(parses(source));
  t.notOk(parses('const a = b ?? c && d;'));
});

t.test('a sample is the same for the same seed, and another for another', async (t) => {
  const items = Array.from({ length: 100 }, (_, index) => index);
  const first = sample(items, 20, 'a');
  t.same(sample(items, 20, 'a'), first);
  t.notSame(sample(items, 20, 'b'), first);
  t.equal(new Set(first).size, 20);
  t.equal(sample(items, 500, 'a').length, 100);
  const next = drawn('x');
  for (let i = 0; i < 1000; i++) {
    const number = next();
    if (number < 0 || number >= 1) t.fail(`${number}`);
  }
});
