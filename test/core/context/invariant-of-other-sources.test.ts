import t from 'tap';
import { plain, planning, subjects, tally } from '../../support/mixed-turns.ts';
import { serveLikeLlamaCpp, serveLikeVllm } from '../../support/serving-like.ts';
import { loadVocabulary } from '../../support/vocabularies.ts';

t.test('mixed turns, counted by a server like vLLM and by one like llama.cpp', async (t) => {
  for (const [seed, serve] of [serveLikeVllm, serveLikeLlamaCpp].entries()) {
    const { model, tokenizer } = subjects[seed] as (typeof subjects)[number];
    const vocabulary = await loadVocabulary(t, tokenizer);
    const planner = await planning(t, plain, (server) => serve(server, vocabulary, 4096));
    const counts = await tally(planner, model, vocabulary, 300, 10 + seed);
    t.match(
      counts,
      { over: 0, refusedThoughFitting: 0, shortened: 0 },
      `${serve.name}: ${JSON.stringify(counts)}`,
    );
  }
});

t.test('mixed turns, only estimated: none over the window either', async (t) => {
  const planner = await planning(t, plain);
  for (const [seed, { model, tokenizer }] of subjects.entries()) {
    const vocabulary = await loadVocabulary(t, tokenizer);
    const counts = await tally(planner, model, vocabulary, 1000, 20 + seed);
    t.equal(counts.over, 0, `${model}: ${JSON.stringify(counts)}`);
  }
});
