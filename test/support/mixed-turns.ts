import { pino } from 'pino';
import { Registry } from 'prom-client';
import type { Test } from 'tap';
import { Planner } from '../../core/chat/planner.ts';
import { chatRequestSchema, toModelRequest } from '../../core/chat/request.ts';
import { type LlmModels, loadLlmModels } from '../../core/config/llm-models.ts';
import { Calibration } from '../../core/context/calibration.ts';
import { ContextWindow } from '../../core/context/context-window.ts';
import { ModelTransport } from '../../core/llm/transport.ts';
import { isInstruction, type Message, sortMessages } from '../../core/terms/message.ts';
import type { LoadedVocabulary } from '../../core/tokens/loaded-vocabulary.ts';
import { mediaParts } from '../../core/tokens/prompt.ts';
import { ServerTokenizer } from '../../core/tokens/server-tokenizer.ts';
import { TokenSources } from '../../core/tokens/token-sources.ts';
import { VocabularyThread } from '../../core/tokens/vocabulary-counter.ts';
import { modelsFile, shippedModelsFile, testTimeouts } from './core-service.ts';
import { mixedConversation, Random, tools } from './mixed-texts.ts';
import { ModelServer } from './model-server.ts';
import { promptTokensOf } from './serving-like.ts';
import { type RealVocabulary, tokenizerOf } from './vocabularies.ts';

const imageTokens = 1500;
const log = pino({ level: 'silent' });
const signal = new AbortController().signal;

/** Everything that plans, in front of a model server that may have a tokenizer. */
export async function planning(
  t: Test,
  models: LlmModels,
  prepare: (server: ModelServer) => void = () => {},
) {
  const server = new ModelServer();
  prepare(server);
  const { port } = await server.listen();
  const transport = new ModelTransport({ host: '127.0.0.1', port }, 'ai-stack', testTimeouts);
  const thread = new VocabularyThread();
  const calibration = new Calibration(new Registry());
  const sources = new TokenSources(models.models, new ServerTokenizer(transport), thread, calibration, log);
  t.teardown(async () => {
    await thread.close();
    await transport.close();
    await server.close();
  });
  return new Planner(new ContextWindow(models), sources, calibration, log);
}

/** The shipped models, each with its own tokenizer. */
export async function withTokenizers(t: Test): Promise<LlmModels> {
  const { models, ...rest } = await loadLlmModels(shippedModelsFile);
  const tokenizers = new Map<string, string>();
  for (const { model, tokenizer } of subjects) tokenizers.set(model, await tokenizerOf(t, tokenizer));
  return {
    ...rest,
    models: Object.fromEntries(
      Object.entries(models).map(([name, model]) => {
        const tokenizer = tokenizers.get(name);
        return [name, tokenizer === undefined ? model : { ...model, tokenizer }];
      }),
    ),
  };
}

/** The shipped models without the tokenizers that they name. */
export const plain = await loadLlmModels(modelsFile);

export interface Tally {
  turns: number;
  over: number;
  refused: number;
  refusedThoughFitting: number;
  /** Answers that got less than what was left, more than the few tokens that adding up costs. */
  shortened: number;
}

export async function tally(
  planner: Planner,
  model: string,
  vocabulary: LoadedVocabulary,
  turns: number,
  seed: number,
): Promise<Tally> {
  const random = new Random(seed);
  const limits = planner.window.of(model).limits;
  const counts: Tally = { turns, over: 0, refused: 0, refusedThoughFitting: 0, shortened: 0 };
  const exact = (messages: readonly Message[], request: object) =>
    promptTokensOf(
      vocabulary,
      toModelRequest(chatRequestSchema.parse(request), model, { messages, maxOutputTokens: 1 }) as never,
    ) + messages.reduce((sum, message) => sum + imageTokens * mediaParts(message), 0);
  for (let turn = 0; turn < turns; turn++) {
    const messages = mixedConversation(random);
    const asked = random.next() < 0.3 ? { max_tokens: 1 + random.int(3000) } : {};
    const request = { model, messages, ...(random.next() < 0.2 ? { tools } : {}), ...asked };
    const { instructions, earlier, fresh } = sortMessages(messages);
    const recorded = {
      instructions,
      history: earlier,
      fresh,
      earlierMessages: earlier.length,
      summary: null,
      storedTokens: () => undefined,
    };
    try {
      const plan = await planner.plan(
        chatRequestSchema.parse(request),
        model,
        recorded,
        `caller-${seed}`,
        signal,
      );
      const tokens = exact(plan.messages, request);
      const left = limits.context_window_tokens - tokens;
      if (plan.maxOutputTokens > left) counts.over++;
      const wanted = Math.min(left, limits.max_output_tokens, asked.max_tokens ?? Number.POSITIVE_INFINITY);
      if (plan.maxOutputTokens < wanted - 40) counts.shortened++;
      plan.learn({ prompt_tokens: tokens });
    } catch (error) {
      if ((error as { code?: string }).code !== 'context_length_exceeded') throw error;
      counts.refused++;
      const least = exact([...messages.filter(isInstruction), ...fresh], request);
      if (least + 1 <= limits.context_window_tokens) counts.refusedThoughFitting++;
    }
  }
  return counts;
}

/** The shipped models, with the tokenizers that are the truth for them. */
export const subjects = [
  { model: 'qwen2.5-coder-7b-instruct', tokenizer: 'qwen2.5', turns: 4000 },
  { model: 'llama-3.2-3b-instruct', tokenizer: 'llama3.2', turns: 4000 },
  { model: 'phi-3-mini-4k-instruct', tokenizer: 'phi3', turns: 2000 },
] as const satisfies readonly { model: string; tokenizer: RealVocabulary; turns: number }[];
