import fc from 'fast-check';
import t from 'tap';
import { toSearchTerms } from '../../../core/chat/search-terms.ts';

t.test('words, phrases and the beginning of the last word', async (t) => {
  const term = (words: string, prefix = false) => ({ words: words.split(' '), prefix });
  t.strictSame(toSearchTerms('one two'), [term('one'), term('two', true)]);
  t.strictSame(toSearchTerms('"one two" three'), [term('one two'), term('three', true)]);
  t.strictSame(toSearchTerms('one "two three"'), [term('one'), term('two three')]);
  t.strictSame(toSearchTerms('Crème ＦＵＬＬ'), [term('creme'), term('full', true)]);
  t.strictSame(toSearchTerms("don't"), [term('don t', true)]);
  t.strictSame(toSearchTerms('机器学习'), [term('机器 学习', true)]);
  t.strictSame(toSearchTerms(' * - "" '), []);
});

t.test('whatever is typed, terms are made of letters, digits and marks only', async () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) =>
      toSearchTerms(text).every(({ words }) => words.every((word) => /^[\p{L}\p{N}\p{M}]+$/u.test(word))),
    ),
    { numRuns: 1000 },
  );
});
