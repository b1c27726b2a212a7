import { ModelFailure, ModelRefusal } from '../llm/failures.ts';
import type { ModelTransport } from '../llm/transport.ts';
import type { Prompt } from './prompt.ts';
import { CountUnavailable, type PromptCounter, TemplateRefusal } from './token-source.ts';

const answerLimitBytes = 32 * 1024 * 1024;
/** A count that takes longer is not worth waiting for. */
const responseMs = 2_000;
/** After this the model server is asked again whether it has a tokenizer. */
const absentMs = 600_000;
const failedMs = 30_000;
const modelLimit = 1_000;

/** How a model server counts: vLLM a chat at once, llama.cpp the text that its chat template makes of it. */
type Dialect = 'vllm' | 'llama.cpp';

interface Known {
  readonly counter: PromptCounter | undefined;
  readonly until: number;
}

/** The tokenizer endpoints of a model server, found out by asking. */
export class ServerTokenizer {
  readonly #transport: ModelTransport;
  readonly #known = new Map<string, Known>();

  constructor(transport: ModelTransport) {
    this.#transport = transport;
  }

  /** Counts as the server does for a model; undefined when it has no tokenizer, or none that works now. */
  async counter(model: string, signal: AbortSignal): Promise<PromptCounter | undefined> {
    const known = this.#known.get(model);
    if (known !== undefined && known.until > performance.now()) return known.counter;
    const found = await this.#detect(model, signal);
    if (this.#known.size >= modelLimit) this.#known.clear();
    this.#known.set(model, found);
    return found.counter;
  }

  async #detect(model: string, signal: AbortSignal): Promise<Known> {
    const prompt: Prompt = { messages: [{ role: 'user', content: 'x' }] };
    try {
      const answer = await this.#post('/tokenize', vllmBody(model, prompt), signal);
      if (typeof answer.count === 'number') {
        const window = answer.max_model_len;
        return this.#found(model, 'vllm', typeof window === 'number' && window > 0 ? window : undefined);
      }
      if (Array.isArray(answer.tokens)) {
        await this.#countLlamaCpp(prompt, signal);
        return this.#found(model, 'llama.cpp', undefined);
      }
      return { counter: undefined, until: performance.now() + absentMs };
    } catch (error) {
      signal.throwIfAborted();
      const passing = error instanceof ModelFailure && error.code !== 'model_refused';
      return { counter: undefined, until: performance.now() + (passing ? failedMs : absentMs) };
    }
  }

  #found(model: string, dialect: Dialect, windowTokens: number | undefined): Known {
    const counter: PromptCounter = {
      tokenizer: `server:${model}`,
      windowTokens,
      count: async (prompt, signal) => {
        try {
          return dialect === 'vllm'
            ? await this.#countVllm(model, prompt, signal)
            : await this.#countLlamaCpp(prompt, signal);
        } catch (error) {
          signal.throwIfAborted();
          if (error instanceof ModelRefusal && error.status !== 429) {
            throw new TemplateRefusal(error.message, { cause: error });
          }
          this.#known.set(model, { counter: undefined, until: performance.now() + failedMs });
          throw new CountUnavailable(
            `the tokenizer of the model server failed: ${(error as Error).message}`,
            {
              cause: error,
            },
          );
        }
      },
    };
    return { counter, until: performance.now() + absentMs };
  }

  async #countVllm(model: string, prompt: Prompt, signal: AbortSignal): Promise<number> {
    return numberOf((await this.#post('/tokenize', vllmBody(model, prompt), signal)).count);
  }

  async #countLlamaCpp(prompt: Prompt, signal: AbortSignal): Promise<number> {
    const { prompt: content } = await this.#post('/apply-template', prompt, signal);
    if (typeof content !== 'string')
      throw new ModelFailure('model_refused', 'found no prompt in /apply-template');
    const { tokens } = await this.#post(
      '/tokenize',
      { content, add_special: true, parse_special: true },
      signal,
    );
    return numberOf(Array.isArray(tokens) ? tokens.length : undefined);
  }

  async #post(path: string, body: object, signal: AbortSignal): Promise<Record<string, unknown>> {
    const call = { method: 'POST', path, body: JSON.stringify(body), signal, responseMs } as const;
    const answer = await this.#transport.json(call, answerLimitBytes);
    return typeof answer === 'object' && answer !== null ? (answer as Record<string, unknown>) : {};
  }
}

function vllmBody(model: string, prompt: Prompt): object {
  return { model, ...prompt, add_generation_prompt: true };
}

function numberOf(count: unknown): number {
  if (typeof count === 'number' && count >= 0) return count;
  throw new ModelFailure('model_refused', 'found no number of tokens in the answer of the tokenizer');
}
