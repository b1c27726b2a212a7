import t from 'tap';
import { faultsIn, parses, withFault } from '../../../tools/mutants/faults.ts';
import { describe, type Mutant } from '../../../tools/mutants/mutants.ts';
import { sample } from '../../../tools/mutants/sample.ts';

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

t.test(
  'a sample is the same for the same seed, another for another, and an edit draws few others',
  async (t) => {
    const mutantsOf = (text: string) =>
      faultsIn(text).map((fault) => ({ file: 'a.ts', source: text, fault }));
    const text = Array.from({ length: 30 }, (_, index) => `export const a${index} = ${index} < limit;`).join(
      '\n',
    );
    const names = (drawn: readonly Mutant[]) => drawn.map(describe).map((name) => name.replace(/:\d+ /, ' '));
    const first = names(sample(mutantsOf(text), 20, 'a'));
    t.same(names(sample(mutantsOf(text), 20, 'a')), first);
    t.notSame(names(sample(mutantsOf(text), 20, 'b')), first);
    t.equal(new Set(first).size, 20);
    t.equal(sample(mutantsOf(text), 500, 'a').length, faultsIn(text).length);
    const edited = names(sample(mutantsOf(`const more = 1 > limit;\n${text}`), 20, 'a'));
    t.ok(edited.filter((name) => first.includes(name)).length >= 17, 'the others are those of before');
  },
);
