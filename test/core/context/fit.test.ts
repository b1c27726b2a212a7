import fc from 'fast-check';
import t from 'tap';
import type { ModelLimits } from '../../../core/config/llm-models.ts';
import { fit, type TurnSize } from '../../../core/context/fit.ts';

const limits = (change: Partial<ModelLimits> = {}): ModelLimits => ({
  context_window_tokens: 4096,
  max_output_tokens: 2048,
  reserved_output_tokens: 1024,
  image_tokens: 1500,
  fallbacks: [],
  message_budget: { system_prompt: 500, recent_messages: 20, max_history_tokens: 2000, summary_tokens: 400 },
  ...change,
});
const turn = (change: Partial<TurnSize> = {}): TurnSize => {
  const historyTokens = change.historyTokens ?? [];
  return {
    windowTokens: 4096,
    fixedTokens: 100,
    historyTokens,
    mayBegin: historyTokens.map(() => true),
    summaryTokens: 0,
    hasEarlier: false,
    requestedOutput: undefined,
    ...change,
  };
};

t.test(
  'prompt and answer never exceed the window, and the newest messages are sent without a gap',
  async () => {
    const size = fc.integer({ min: 1, max: 5000 });
    fc.assert(
      fc.property(
        fc.record({
          windowTokens: fc.integer({ min: 100, max: 20_000 }),
          fixedTokens: size,
          history: fc.array(fc.tuple(size, fc.boolean()), { maxLength: 40 }),
          summaryTokens: fc.integer({ min: 0, max: 1000 }),
          hasEarlier: fc.boolean(),
          requestedOutput: fc.option(fc.integer({ min: 1, max: 30_000 }), { nil: undefined }),
        }),
        ({ history, ...numbers }) => {
          const historyTokens = history.map(([tokens]) => tokens);
          const found = fit(limits(), { ...numbers, historyTokens, mayBegin: history.map(([, may]) => may) });
          if (found === undefined) return numbers.fixedTokens + 1 > numbers.windowTokens;
          const sent = historyTokens.slice(found.start);
          const sum = sent.reduce((total, tokens) => total + tokens, 0);
          return (
            found.promptTokens ===
              numbers.fixedTokens + sum + (found.withSummary ? numbers.summaryTokens : 0) &&
            found.promptTokens + found.maxOutputTokens <= numbers.windowTokens &&
            found.maxOutputTokens >= 1 &&
            found.maxOutputTokens <= Math.min(2048, numbers.requestedOutput ?? 2048) &&
            sent.length <= 20 &&
            sum <= 2000 &&
            (sent.length === 0 || history[found.start]?.[1] === true)
          );
        },
      ),
      { numRuns: 2000 },
    );
  },
);

t.test('the answer takes what is left when the client names no maximum', async (t) => {
  for (const fixedTokens of [100, 1000, 1638, 2048, 2500, 3000, 3500, 4000, 4095]) {
    const found = fit(limits(), turn({ fixedTokens }));
    t.equal(found?.maxOutputTokens, Math.min(2048, 4096 - fixedTokens), `${fixedTokens} tokens of 4096`);
  }
  t.equal(fit(limits(), turn({ fixedTokens: 4096 })), undefined, 'no room for an answer');
});

t.test('the shipped budget of the history can be used to the last token', async (t) => {
  const found = fit(limits(), turn({ fixedTokens: 1000, historyTokens: [500, 500, 500, 500] }));
  t.match(found, { start: 0, promptTokens: 3000, maxOutputTokens: 1096 });
});

t.test('the history yields to the answer that the client asks for', async (t) => {
  const historyTokens = Array<number>(10).fill(200);
  t.match(fit(limits(), turn({ historyTokens, requestedOutput: 2048 })), { start: 1, maxOutputTokens: 2048 });
  t.match(fit(limits(), turn({ historyTokens, requestedOutput: 10 })), { start: 0, maxOutputTokens: 10 });
});

t.test('a summary takes the place of what is left out, never of what fits', async (t) => {
  const historyTokens = Array<number>(30).fill(90);
  t.match(fit(limits(), turn({ historyTokens, summaryTokens: 300 })), { start: 10, withSummary: true });
  t.match(fit(limits(), turn({ historyTokens: [90], summaryTokens: 300 })), { start: 0, withSummary: false });
  t.match(fit(limits(), turn({ historyTokens: [90], summaryTokens: 300, hasEarlier: true })), {
    withSummary: true,
  });
  t.match(fit(limits(), turn({ fixedTokens: 3900, historyTokens, summaryTokens: 300 })), {
    start: 30,
    withSummary: false,
  });
});
