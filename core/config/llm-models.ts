import * as z from 'zod';
import { check, readYaml } from '../../config/load.ts';

const tokens = z.int({ error: 'a number of tokens, 1 to 10000000' }).min(1).max(10_000_000);

const modelSchema = z.strictObject({
  context_window_tokens: tokens,
  max_output_tokens: tokens,
  message_budget: z.strictObject({
    /** Kept free for the system prompt; a longer one takes its room from the history. */
    system_prompt: z.int().min(0).max(10_000_000),
    /** At most this many messages of the history are sent. */
    recent_messages: z.int().min(1).max(10_000),
    max_history_tokens: z.int().min(0).max(10_000_000),
  }),
});

const llmModelsSchema = z
  .strictObject({
    default: z.string().min(1),
    token_estimation: z.strictObject({
      characters_per_token: z.number().min(0.25).max(16),
      /** The share of a model's window that is planned with, above 0 and up to 1. */
      safety_margin: z.number().gt(0).max(1),
    }),
    models: z.record(z.string().min(1).max(256), modelSchema),
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
      const usable = Math.floor(model.context_window_tokens * config.token_estimation.safety_margin);
      if (model.max_output_tokens + model.message_budget.system_prompt >= usable) {
        context.addIssue({
          code: 'custom',
          path: ['models', name, 'max_output_tokens'],
          message: `less than ${usable - model.message_budget.system_prompt}: the window times the safety margin, less the system prompt, must leave room for a message`,
        });
      }
    }
  });

/** config/llm_models.yaml: what each model can take. */
export type LlmModels = z.output<typeof llmModelsSchema>;
export type ModelLimits = LlmModels['models'][string];

/** Reads llm_models.yaml. @throws {import('../../config/load.ts').ConfigError} */
export async function loadLlmModels(file: string): Promise<LlmModels> {
  return check(await readYaml(file), llmModelsSchema, 'llm_models.yaml');
}
