import t from 'tap';
import { LoadedVocabulary } from '../../../core/tokens/loaded-vocabulary.ts';
import { readVocabulary } from '../../../core/tokens/vocabularies.ts';
import { planning, shipped, subjects, tally } from '../../support/mixed-turns.ts';

t.test('10,000 mixed turns, counted with the tokenizers that llm_models.yaml names', async (t) => {
  const planner = await planning(t, shipped);
  for (const [seed, { model, tokenizer, turns }] of subjects.entries()) {
    const vocabulary = new LoadedVocabulary(await readVocabulary(tokenizer));
    const counts = await tally(planner, model, vocabulary, turns, seed);
    t.match(
      counts,
      { over: 0, refusedThoughFitting: 0, shortened: 0 },
      `${model}: ${JSON.stringify(counts)}`,
    );
    t.ok(
      counts.refused > turns / 100 && counts.refused < turns / 2,
      'some of the turns are too large for any window',
    );
  }
});
