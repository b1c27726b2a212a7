import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import t from 'tap';
import { toSearchExpression } from '../../../core/chat/search-expression.ts';

t.test('any text at all is a valid expression or none', async () => {
  const database = new DatabaseSync(':memory:');
  database.exec('CREATE VIRTUAL TABLE m USING fts5 (content)');
  const search = database.prepare('SELECT count(*) AS n FROM m WHERE m MATCH ?');
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'grapheme' }),
        fc
          .array(
            fc.constantFrom('a', '"', ' ', '*', 'OR', 'NEAR(', '-', ':', '^', '{', '}', '\0', '(', ')', '+'),
          )
          .map((parts) => parts.join('')),
      ),
      (text) => {
        const expression = toSearchExpression(text);
        return expression === undefined || search.get(expression)?.n === 0;
      },
    ),
    { numRuns: 1000 },
  );
});

t.test('words, phrases and the beginning of the last word', async (t) => {
  t.equal(toSearchExpression('one two'), '"one" "two"*');
  t.equal(toSearchExpression('"one two" three'), '"one two" "three"*');
  t.equal(toSearchExpression('one "two three"'), '"one" "two three"');
  t.equal(toSearchExpression(' * - "" '), undefined);
});
