import fc from 'fast-check';
import * as other from 'structured-headers';
import t from 'tap';
import { serializeDictionary, serializeItem, serializeList } from '../../../sidecar/signature/serialize.ts';
import { parseDictionary, parseItem, parseList } from '../../../sidecar/signature/structured-fields.ts';

/** The canonical text of a field, or undefined when the parser refuses it. */
function canonical<Parsed>(parse: (text: string) => Parsed, serialize: (value: Parsed) => string) {
  return (text: string) => {
    try {
      return serialize(parse(text));
    } catch {
      return undefined;
    }
  };
}

const kinds = {
  dictionary: [
    canonical(parseDictionary, serializeDictionary),
    canonical(other.parseDictionary, other.serializeDictionary),
  ],
  list: [canonical(parseList, serializeList), canonical(other.parseList, other.serializeList)],
  item: [canonical(parseItem, serializeItem), canonical(other.parseItem, other.serializeItem)],
} as const;

// Left out is what we refuse on purpose, padding that is missing and keys that occur twice, whole decimals such as 1.0, which
// the other parser writes as integers, and dates, which it reads only at the end of a field.
const bare = fc.constantFrom(
  ...[
    '1',
    '-1',
    '0',
    '-0',
    '007',
    '999999999999999',
    '9999999999999999',
    '1.5',
    '1.500',
    '-0.5',
    '1.',
    '.5',
    '1.2345',
  ],
  ...['"a"', '"a\\"b\\\\"', '"\\a"', '"a', 'tok', '*t/x:y', 'T', '%"f%c3%bc"', '%"%ff"', '%"%C3"'],
  ...[':aGk=:', '::', ':a b:', ':a', '?0', '?1', '?2', '?', '', '\u00e9'],
);
const key = fc.constantFrom('a', 'b', '*k', 'k_1-.*', 'A', '1', '');
const blank = fc.constantFrom('', '', '', ' ', '  ', '\t');
const params = fc
  .uniqueArray(fc.tuple(blank, blank, key, fc.option(bare)), { maxLength: 3, selector: ([, , name]) => name })
  .map((list) => list.map(([l, r, k, v]) => `${l};${r}${k}${v === null ? '' : `=${v}`}`).join(''));
const item = fc.tuple(bare, params).map((parts) => parts.join(''));
const inner = fc
  .tuple(fc.array(item, { maxLength: 3 }), blank, params)
  .map(([items, pad, tail]) => `(${pad}${items.join(' ')}${pad})${tail}`);
const member = fc.oneof(item, inner);
const comma = fc.constantFrom(',', ', ', ' ,\t', ',,', ' ');
const joined = (parts: fc.Arbitrary<readonly string[]>) =>
  fc
    .tuple(parts, fc.array(comma, { minLength: 4, maxLength: 4 }), fc.boolean())
    .map(([list, commas, open]) =>
      list.map((part, i) => part + (i < list.length - 1 || open ? commas[i] : '')).join(''),
    );
const texts: Readonly<Record<keyof typeof kinds, fc.Arbitrary<string>>> = {
  dictionary: joined(
    fc
      .uniqueArray(
        fc.tuple(
          key,
          fc.oneof(
            params,
            member.map((value) => `=${value}`),
          ),
        ),
        {
          maxLength: 4,
          selector: ([name]) => name,
        },
      )
      .map((list) => list.map((parts) => parts.join(''))),
  ),
  list: joined(fc.array(member, { maxLength: 4 })),
  item: fc.tuple(blank, item, blank).map((parts) => parts.join('')),
};

for (const [kind, [ours, theirs]] of Object.entries(kinds)) {
  t.test(`we and another parser read and refuse the same, of every ${kind}`, async (t) => {
    let accepted = 0;
    fc.assert(
      fc.property(texts[kind as keyof typeof kinds], (text) => {
        const [mine, other] = [ours(text), theirs(text)];
        if (mine !== other)
          throw new Error(`${JSON.stringify(text)} is ${mine} to us, ${other} to the other`);
        if (mine !== undefined) accepted++;
      }),
      { numRuns: 5_000 },
    );
    t.ok(accepted > 300, `${accepted} of 5,000 were accepted`);
  });
}
