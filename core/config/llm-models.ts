import { dirname, resolve } from 'node:path';
import * as z from 'zod';
import { check, readYaml } from '../../config/load.ts';
import { isShippedVocabulary, shippedVocabularies } from '../terms/vocabulary.ts';

const tokens = z
  .int({ error: 'a number of tokens, 1 to 10000000' })
  .min(1)
  .max(10_000_000)
  .meta({ kind: 'tokens' });

const modelSchema = z.strictObject({
  context_window_tokens: tokens.describe('What prompt and answer may take together.'),
  max_output_tokens: tokens.describe('The most that an answer may take.'),
  reserved_output_tokens: tokens
    .optional()
    .describe(
      'Kept free of history for an answer whose length the client does not limit; default: a quarter of the window.',
    ),
  tokenizer: z
    .string()
    .refine((name) => isShippedVocabulary(name) || name.includes('/'), {
      error: `${shippedVocabularies.join(', ')}, or the path of a folder with a tokenizer.json, such as ./my-model`,
    })
    .optional()
    .describe('Counts when the model server has no tokenizer of its own.'),
  image_tokens: z
    .int()
    .min(0)
    .max(1_000_000)
    .default(1500)
    .describe('The most that an image, or another part that is no text, costs this model.'),
  fallbacks: z
    .array(z.string().min(1).max(256))
    .max(8)
    .default([])
    .describe('Models that answer instead, in this order, while this one fails.'),
  message_budget: z
    .strictObject({
      system_prompt: z
        .int()
        .min(0)
        .max(10_000_000)
        .describe('What a system prompt is expected to take; a longer one takes its room from the history.'),
      recent_messages: z
        .int()
        .min(1)
        .max(10_000)
        .describe('At most this many messages of the history are sent.'),
      max_history_tokens: z
        .int()
        .min(0)
        .max(10_000_000)
        .describe('At most this much of the history is sent.'),
      summary_tokens: z
        .int()
        .min(0)
        .max(100_000)
        .default(0)
        .describe('The longest summary of what no longer fits; 0: none is made.'),
    })
    .describe('How the window is shared out.'),
});

export const llmModelsSchema = z
  .strictObject({
    default: z.string().min(1).describe('The model of clients that name none.'),
    token_estimation: z
      .strictObject({
        safety_margin: z
          .number()
          .gt(0)
          .max(1)
          .describe("The share of a model's window that is planned with, above 0 and up to 1."),
      })
      .describe('How exact counts are taken to be.'),
    models: z.record(z.string().min(1).max(256), modelSchema).describe('One entry a model, by its name.'),
  })
  .superRefine((config, context) => {
    if (!Object.hasOwn(config.models, config.default)) {
      context.addIssue({
        code: 'custom',
        path: ['default'],
        message: `one of the models below: ${Object.keys(config.models).join(', ')}`,
      });
    }
    for (const [name, model] of Object.entries(config.models)) {
      const problem = unreachableBudget(model, config.token_estimation.safety_margin);
      if (problem !== undefined) {
        context.addIssue({
          code: 'custom',
          path: ['models', name, ...problem.path],
          message: problem.message,
        });
      }
      for (const [index, fallback] of model.fallbacks.entries()) {
        if (fallback !== name && Object.hasOwn(config.models, fallback)) continue;
        context.addIssue({
          code: 'custom',
          path: ['models', name, 'fallbacks', index],
          message: `another of the models: ${Object.keys(config.models).join(', ')}`,
        });
      }
    }
  });

/** config/llm_models.yaml: what each model can take. */
export type LlmModels = z.output<typeof llmModelsSchema>;
export type ModelLimits = LlmModels['models'][string];

/** Tokens that are kept free of history for an answer whose length the client does not limit. */
export function reservedOutput(
  model: Pick<ModelLimits, 'reserved_output_tokens' | 'max_output_tokens' | 'context_window_tokens'>,
): number {
  const quarter = Math.floor(model.context_window_tokens / 4);
  return Math.min(model.max_output_tokens, model.reserved_output_tokens ?? quarter);
}

/** The least that a new message has to find room for. */
const leastMessageTokens = 64;

/** Budgets that can't all be used in one turn would promise what no turn keeps. */
function unreachableBudget(
  model: z.output<typeof modelSchema>,
  safetyMargin: number,
): { path: string[]; message: string } | undefined {
  const usable = Math.floor(model.context_window_tokens * (model.tokenizer === undefined ? safetyMargin : 1));
  const { system_prompt, max_history_tokens, summary_tokens } = model.message_budget;
  const reserved = reservedOutput(model);
  const left = usable - system_prompt - summary_tokens - reserved - leastMessageTokens;
  if (left < 0) {
    return {
      path: ['reserved_output_tokens'],
      message: `at most ${reserved + left}: of ${usable} tokens, the system prompt, the summary and a new message must find room beside the answer`,
    };
  }
  if (max_history_tokens <= left) return undefined;
  return {
    path: ['message_budget', 'max_history_tokens'],
    message: `at most ${left}: that is what the system prompt (${system_prompt}), the summary (${summary_tokens}), the answer (${reserved}) and a new message (${leastMessageTokens}) leave of ${usable} tokens; a larger history is never reached`,
  };
}

/**
 * Reads llm_models.yaml; paths of tokenizers come out absolute, relative ones being relative to the file itself.
 *
 * @throws {import('../../config/load.ts').ConfigError}
 */
export async function loadLlmModels(file: string): Promise<LlmModels> {
  const config = check(await readYaml(file), llmModelsSchema, 'llm_models.yaml');
  const models = Object.entries(config.models).map(([name, model]) => {
    const { tokenizer } = model;
    if (tokenizer === undefined || isShippedVocabulary(tokenizer)) return [name, model] as const;
    return [name, { ...model, tokenizer: resolve(dirname(file), tokenizer) }] as const;
  });
  return { ...config, models: Object.fromEntries(models) };
}
