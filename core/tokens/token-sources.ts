import type { FastifyBaseLogger } from 'fastify';
import type { LlmModels } from '../config/llm-models.ts';
import type { Calibration } from '../context/calibration.ts';
import { EstimateSource } from './estimate-source.ts';
import { RecentCounts } from './recent-counts.ts';
import type { ServerTokenizer } from './server-tokenizer.ts';
import { TemplateSource } from './template-source.ts';
import type { PromptCounter, TokenSource } from './token-source.ts';
import type { VocabularyThread } from './vocabulary-counter.ts';

/** Whose tokens are counted, and for which model. */
export interface CountedFor {
  readonly model: string;
  /** The service that calls, when its sidecar proved it. */
  readonly caller: string | undefined;
  /** A text of so many tokens does not fit anyway: the estimate stops there. */
  readonly limit: number;
}

/** Everything that can count for a model: its server's tokenizer, the one that llm_models.yaml names, an estimate. */
export class TokenSources {
  readonly #models: LlmModels['models'];
  readonly #server: ServerTokenizer;
  readonly #vocabularies: VocabularyThread;
  readonly #calibration: Calibration;
  readonly #log: FastifyBaseLogger;
  readonly #recent = new RecentCounts();
  readonly #templates = new WeakMap<PromptCounter, TemplateSource>();
  readonly #named = new Map<string, PromptCounter>();

  constructor(
    models: LlmModels['models'],
    server: ServerTokenizer,
    vocabularies: VocabularyThread,
    calibration: Calibration,
    log: FastifyBaseLogger,
  ) {
    this.#models = models;
    this.#server = server;
    this.#vocabularies = vocabularies;
    this.#calibration = calibration;
    this.#log = log;
  }

  /**
   * Counts with the first source that can: `work` is repeated with the next one when a source fails. The estimate is the last and
   * never fails.
   */
  async using<Result>(
    target: CountedFor,
    signal: AbortSignal,
    work: (source: TokenSource) => Promise<Result>,
  ): Promise<Result> {
    for (const find of [
      () => this.#server.counter(target.model, signal),
      () => this.#vocabulary(target.model),
    ]) {
      const counter = await find();
      if (counter === undefined) continue;
      try {
        return await work(this.#recent.over(this.#templateOf(counter), target.caller));
      } catch (error) {
        if ((error as { code?: unknown }).code !== 'count-unavailable') throw error;
        this.#log.warn(
          { err: error, model: target.model },
          'a tokenizer failed; counting with the next source',
        );
      }
    }
    return work(this.estimate(target));
  }

  /** The estimate, whatever else there is. */
  estimate({ caller, model, limit }: CountedFor): TokenSource {
    return new EstimateSource(this.#calibration.scaleOf(caller, model), limit);
  }

  #vocabulary(model: string): PromptCounter | undefined {
    const name = Object.hasOwn(this.#models, model) ? this.#models[model]?.tokenizer : undefined;
    if (name === undefined) return undefined;
    let counter = this.#named.get(name);
    if (counter === undefined) {
      counter = this.#vocabularies.counter(name);
      this.#named.set(name, counter);
    }
    return counter;
  }

  #templateOf(counter: PromptCounter): TemplateSource {
    let source = this.#templates.get(counter);
    if (source === undefined) {
      source = new TemplateSource(counter);
      this.#templates.set(counter, source);
    }
    return source;
  }
}
