import t from 'tap';
import { LoadedVocabulary } from '../../../core/tokens/loaded-vocabulary.ts';
import { readVocabulary } from '../../../core/tokens/vocabularies.ts';
import { planning, shipped, subjects, tally } from '../../support/mixed-turns.ts';

/**
 * A quarter of the 10,000 turns unless all are asked for; the same ones in every run:
 * `npm test -- test/core/context/invariant.test.ts --test-arg=--all-turns`
 */
const share = process.argv.includes('--all-turns') ? 1 : 1 / 4;

t.test('mixed turns, counted with the tokenizers that llm_models.yaml names', async (t) => {
  const planner = await planning(t, shipped);
  for (const [seed, { model, tokenizer, turns: all }] of subjects.entries()) {
    const turns = all * share;
    const vocabulary = new LoadedVocabulary(await readVocabulary(tokenizer));
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
