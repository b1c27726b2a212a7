import fc from 'fast-check';
import t from 'tap';
import type { LlmModels } from '../../../core/config/llm-models.ts';
import { loadLlmModels } from '../../../core/config/llm-models.ts';
import { ContextWindow } from '../../../core/context/context-window.ts';
import { estimateAll, estimateTokens } from '../../../core/context/token-estimate.ts';
import type { Message } from '../../../core/terms/message.ts';
import { modelsFile } from '../../support/core-service.ts';

const shipped = new ContextWindow(await loadLlmModels(modelsFile));
const user = (content: string): Message => ({ role: 'user', content });

const text = fc.oneof(
  fc.string({ maxLength: 200 }),
  fc.string({ unit: 'grapheme', maxLength: 200 }),
  fc.constant('x'.repeat(3000)),
);
const message = fc.record({
  role: fc.constantFrom('user' as const, 'assistant' as const, 'tool' as const),
  content: text,
});

/** Models as llm_models.yaml may describe them. */
const models = fc
  .record({
    margin: fc.double({ min: 0.1, max: 1, noNaN: true }),
    charactersPerToken: fc.double({ min: 0.25, max: 16, noNaN: true }),
    window: fc.integer({ min: 200, max: 20_000 }),
    output: fc.integer({ min: 1, max: 10_000 }),
    prompt: fc.integer({ min: 0, max: 2000 }),
    recent: fc.integer({ min: 1, max: 40 }),
    history: fc.integer({ min: 0, max: 20_000 }),
  })
  .filter(({ margin, window, output, prompt }) => output + prompt < Math.floor(window * margin))
  .map(
    (m): LlmModels => ({
      default: 'm',
      token_estimation: { characters_per_token: m.charactersPerToken, safety_margin: m.margin },
      models: {
        m: {
          context_window_tokens: m.window,
          max_output_tokens: m.output,
          message_budget: {
            system_prompt: m.prompt,
            recent_messages: m.recent,
            max_history_tokens: m.history,
          },
        },
      },
    }),
  );

t.test(
  'system prompt + history + new message + output never exceed the window, and the newest messages win',
  async () => {
    fc.assert(
      fc.property(
        models,
        fc.array(message, { maxLength: 60 }),
        fc.option(text, { nil: undefined }),
        fc.array(message, { minLength: 1, maxLength: 3 }),
        fc.double({ min: 0.25, max: 4, noNaN: true }),
        fc.option(fc.integer({ min: 1, max: 30_000 }), { nil: undefined }),
        (config, history, system, fresh, scale, requestedOutput) => {
          const limits = config.models.m!;
          const instructions: Message[] = system === undefined ? [] : [{ role: 'system', content: system }];
          const estimator = { charactersPerToken: config.token_estimation.characters_per_token, scale };
          const turn = { instructions, history, fresh };
          let fitted: ReturnType<ContextWindow['fit']>;
          try {
            fitted = new ContextWindow(config).fit('m', turn, scale, requestedOutput);
          } catch (error) {
            // Refused only when no history at all would make it fit.
            const least =
              estimateAll([...instructions, ...fresh], estimator) +
              Math.min(requestedOutput ?? Infinity, limits.max_output_tokens);
            const callOfTool = fresh[0]?.role === 'tool' && history.at(-1)?.role === 'assistant';
            return (
              (error as { code: string }).code === 'context_length_exceeded' &&
              (callOfTool ||
                least > Math.floor(limits.context_window_tokens * config.token_estimation.safety_margin))
            );
          }
          const { messages, maxOutputTokens, promptTokens, historyMessages } = fitted;
          const kept = messages.slice(instructions.length, messages.length - fresh.length);
          return (
            estimateAll(messages, estimator) === promptTokens &&
            promptTokens + maxOutputTokens <= limits.context_window_tokens &&
            maxOutputTokens <= limits.max_output_tokens &&
            maxOutputTokens <= (requestedOutput ?? Infinity) &&
            // Everything new is there, whole and last; what is kept of the history is its newest end.
            messages.slice(-fresh.length).every((m, i) => m === fresh[i]) &&
            kept.every((m, i) => m === history[history.length - kept.length + i]) &&
            historyMessages <= limits.message_budget.recent_messages &&
            estimateAll(history.slice(history.length - historyMessages), estimator) <=
              limits.message_budget.max_history_tokens + estimateAll(history.slice(-1), estimator)
          );
        },
      ),
      { numRuns: 500 },
    );
  },
);

t.test('keeps as many of the newest messages as the budgets allow, and not one more', async (t) => {
  const history = Array.from({ length: 40 }, (_, index) => user(`message ${index}`));
  const { messages, historyMessages } = shipped.fit(
    'qwen2.5-coder-7b-instruct',
    { instructions: [], history, fresh: [user('new')] },
    1,
  );
  t.equal(historyMessages, 20, 'recent_messages of this model');
  t.strictSame(
    messages.map((m) => m.content),
    [...history.slice(-20).map((m) => m.content), 'new'],
  );

  const long = Array.from({ length: 10 }, (_, index) => user(`${index}`.repeat(1600)));
  const fitted = shipped.fit(
    'qwen2.5-coder-7b-instruct',
    { instructions: [], history: long, fresh: [user('new')] },
    1,
  );
  // 3686 usable - 2048 output - 500 kept for a system prompt - 5 for the new message: two of 404 tokens.
  t.equal(fitted.historyMessages, 2);
});

t.test('a new message that is too large is refused with the numbers to correct it by', async (t) => {
  t.throws(
    () =>
      shipped.fit(
        'qwen2.5-coder-7b-instruct',
        { instructions: [], history: [], fresh: [user('x'.repeat(8000))] },
        1,
      ),
    {
      code: 'context_length_exceeded',
      status: 400,
      param: 'messages',
      message: /about 2004 tokens.*366 too many/,
    },
  );
  t.equal(
    shipped.fit(
      'qwen2.5-coder-7b-instruct',
      { instructions: [], history: [], fresh: [user('x'.repeat(8000))] },
      1,
      500,
    ).maxOutputTokens,
    500,
    'asking for a shorter answer makes room',
  );
});

t.test(
  'results of tool calls keep the call that they answer, and no result stands without its call',
  async (t) => {
    const call: Message = {
      role: 'assistant',
      content: null,
      tool_calls: [{ id: '1', type: 'function', function: { name: 'f', arguments: '{}' } }],
    };
    const result: Message = { role: 'tool', tool_call_id: '1', content: 'r' };
    const fitted = shipped.fit(
      'qwen2.5-coder-7b-instruct',
      { instructions: [], history: [user('x'.repeat(6000)), call], fresh: [result] },
      1,
    );
    t.strictSame(fitted.messages, [call, result]);
    const cut = shipped.fit(
      'qwen2.5-coder-7b-instruct',
      { instructions: [], history: [{ ...call, content: 'x'.repeat(6000) }, result], fresh: [user('next')] },
      1,
    );
    t.strictSame(cut.messages, [user('next')]);
  },
);

t.test('an unknown model has the numbers of the default', async (t) => {
  t.match(shipped.of('no-such-model'), { known: false, usableTokens: 3686, retrievalLimit: 40 });
  t.match(shipped.of('qwen2.5-coder-14b-instruct'), { known: true, usableTokens: 7372, retrievalLimit: 60 });
  t.match(shipped.of('__proto__'), { known: false });
});

t.test('texts outside ASCII are not taken to be cheap', async (t) => {
  const estimator = { charactersPerToken: 4, scale: 1 };
  t.equal(estimateTokens(user('a'.repeat(400)), estimator), 104);
  t.equal(estimateTokens(user('語'.repeat(400)), estimator), 304);
});
