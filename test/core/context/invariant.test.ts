import t from 'tap';
import { planning, subjects, tally, withTokenizers } from '../../support/mixed-turns.ts';
import { loadVocabulary } from '../../support/vocabularies.ts';

/**
 * A quarter of the 10,000 turns unless all are asked for; the same ones in every run:
 * `npm test -- test/core/context/invariant.test.ts --test-arg=--all-turns`
 */
const share = process.argv.includes('--all-turns') ? 1 : 1 / 4;

t.test('mixed turns, counted with the tokenizers that llm_models.yaml may name', async (t) => {
  const planner = await planning(t, await withTokenizers(t));
  for (const [seed, { model, tokenizer, turns: all }] of subjects.entries()) {
    const turns = all * share;
    const vocabulary = await loadVocabulary(t, tokenizer);
    const counts = await tally(planner, model, vocabulary, turns, seed);
    t.match(
      counts,
      { over: 0, refusedThoughFitting: 0, shortened: 0 },
      `${model}: ${JSON.stringify(counts)}`,
    );
    t.ok(
      counts.refused > 0 && counts.refused < turns / 2,
      'some of the turns are too large for any window, not many',
    );
  }
});
