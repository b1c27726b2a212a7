import t from 'tap';
import { estimateText } from '../../../core/tokens/text-estimate.ts';
import { kinds, Random } from '../../support/mixed-texts.ts';
import { loadVocabulary } from '../../support/vocabularies.ts';

t.test(
  'the estimate is not below the count of any tokenizer for any kind of text, and rarely far above',
  async (t) => {
    const random = new Random(7);
    const texts = Object.entries(kinds).map(([kind, make]) => [kind, make(random, 6000)] as const);
    const counted = new Map<string, number[]>();
    for (const name of ['qwen2.5', 'llama3.2', 'phi3'] as const) {
      const vocabulary = await loadVocabulary(t, name);
      const frame = vocabulary.count({ messages: [{ role: 'user', content: '' }] });
      for (const [kind, text] of texts) {
        const tokens = vocabulary.count({ messages: [{ role: 'user', content: text }] }) - frame;
        counted.set(kind, [...(counted.get(kind) ?? []), tokens]);
      }
    }
    for (const [kind, text] of texts) {
      const worst = Math.max(...(counted.get(kind) ?? []));
      const estimated = estimateText(text);
      t.ok(estimated >= worst, `${kind}: estimated ${estimated}, counted ${counted.get(kind)}`);
      t.ok(estimated <= 2.2 * worst, `${kind}: estimated ${estimated}, the worst is ${worst}`);
    }
  },
);

t.test('stops at its limit', async (t) => {
  t.ok(estimateText('a b '.repeat(1_000_000), 1000) < 1010);
});
