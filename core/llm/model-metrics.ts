import { Counter, Histogram, type Registry } from 'prom-client';
import type { LlmModels } from '../config/llm-models.ts';
import { CoreError } from '../terms/errors.ts';
import { ModelRefusal } from './failures.ts';

/** Bounds of OpenTelemetry's conventions for generative AI, in seconds and in tokens. */
const secondBounds = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
const tokenBounds = [1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576];

/** Callers that have counters of their own; further ones are counted together. A service that calls has its name proven. */
export const mostCallers = 200;

/** One call to a model, while it runs. */
export interface Operation {
  /** A chunk of a streamed answer has come. */
  chunk(): void;
  /** It is over; only the first time counts. @param error what it failed with */
  end(error?: unknown): void;
}

/** What an answer used, as its model reported. */
export type ReportedUsage =
  | { readonly prompt_tokens?: unknown; readonly completion_tokens?: unknown }
  | null
  | undefined;

/**
 * Calls to models under the names of OpenTelemetry's conventions for generative AI, as Prometheus writes them. Models
 * that llm_models.yaml does not name are `other`.
 *
 * @see https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/
 */
export class ModelMetrics {
  readonly #models: LlmModels['models'];
  readonly #provider: string;
  readonly #callers = new Set<string>();
  readonly #duration: Histogram;
  readonly #firstChunk: Histogram;
  readonly #usage: Histogram;
  readonly #tokens: Counter;

  /** @param provider the service that runs the models */
  constructor(models: LlmModels['models'], provider: string, registry: Registry) {
    this.#models = models;
    this.#provider = provider;
    const labelNames = ['gen_ai_operation_name', 'gen_ai_provider_name', 'gen_ai_request_model'];
    const registers = [registry];
    this.#duration = new Histogram({
      name: 'gen_ai_client_operation_duration_seconds',
      help: 'Calls to a model, to the end of the answer; error_type is empty of those that succeeded.',
      labelNames: [...labelNames, 'error_type'],
      buckets: secondBounds,
      registers,
    });
    this.#firstChunk = new Histogram({
      name: 'gen_ai_client_operation_time_to_first_chunk_seconds',
      help: 'Streamed calls to a model, to the first token of the answer.',
      labelNames,
      buckets: secondBounds,
      registers,
    });
    this.#usage = new Histogram({
      name: 'gen_ai_client_token_usage',
      help: 'Tokens of prompts (input) and answers (output) of one turn, as the model reports them.',
      labelNames: [...labelNames, 'gen_ai_token_type'],
      buckets: tokenBounds,
      registers,
    });
    this.#tokens = new Counter({
      name: 'countersign_core_tokens_total',
      help: 'Tokens that models report, by the calling service.',
      labelNames: ['caller', 'model', 'type'],
      registers,
    });
  }

  begin(model: string): Operation {
    const startedAtMs = performance.now();
    const seconds = () => (performance.now() - startedAtMs) / 1000;
    const labels = this.#labels(model);
    let isOver = false;
    let hasBegun = false;
    return {
      chunk: () => {
        if (hasBegun) return;
        hasBegun = true;
        this.#firstChunk.observe(labels, seconds());
      },
      end: (error) => {
        if (isOver) return;
        isOver = true;
        this.#duration.observe({ ...labels, error_type: errorType(error) }, seconds());
      },
    };
  }

  /** @param caller the calling service; empty when nobody is proven */
  spent(model: string, caller: string, usage: ReportedUsage): void {
    const used = { input: usage?.prompt_tokens, output: usage?.completion_tokens };
    for (const [type, tokens] of Object.entries(used)) {
      if (typeof tokens !== 'number' || !(tokens >= 0) || !Number.isFinite(tokens)) continue;
      this.#usage.observe({ ...this.#labels(model), gen_ai_token_type: type }, tokens);
      this.#tokens.inc({ caller: this.#callerLabel(caller), model: this.#modelLabel(model), type }, tokens);
    }
  }

  #labels(model: string) {
    return {
      gen_ai_operation_name: 'chat',
      gen_ai_provider_name: this.#provider,
      gen_ai_request_model: this.#modelLabel(model),
    };
  }

  #modelLabel(model: string): string {
    return Object.hasOwn(this.#models, model) ? model : 'other';
  }

  #callerLabel(caller: string): string {
    if (caller === '') return 'unknown';
    if (this.#callers.has(caller)) return caller;
    if (this.#callers.size >= mostCallers) return 'other';
    this.#callers.add(caller);
    return caller;
  }
}

/** A value of few: the code of an error of ours. */
export function errorType(error: unknown): string {
  if (error === undefined) return '';
  if (error instanceof CoreError || error instanceof ModelRefusal) return error.code;
  return (error as Error | null)?.name === 'AbortError' ? 'cancelled' : '_OTHER';
}
