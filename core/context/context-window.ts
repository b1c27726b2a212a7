import type { LlmModels, ModelLimits } from '../config/llm-models.ts';

/** What one model can take, and what is planned with. All in tokens, except the counts of messages. */
export interface ModelWindow {
  readonly limits: ModelLimits;
  /** False when llm_models.yaml does not name the model, and these are the default's numbers. */
  readonly known: boolean;
  /** How many messages are fetched to choose from: twice the budget of messages. */
  readonly retrievalLimit: number;
}

/** The numbers of llm_models.yaml, model by model. */
export class ContextWindow {
  readonly #config: LlmModels;
  readonly #windows: ReadonlyMap<string, ModelWindow>;

  constructor(config: LlmModels) {
    this.#config = config;
    this.#windows = new Map(
      Object.entries(config.models).map(([name, limits]) => [
        name,
        { limits, known: true, retrievalLimit: 2 * limits.message_budget.recent_messages },
      ]),
    );
  }

  get defaultModel(): string {
    return this.#config.default;
  }

  get models(): readonly string[] {
    return [...this.#windows.keys()];
  }

  /** The share of a window that is planned with when its tokens are only estimated. */
  get safetyMargin(): number {
    return this.#config.token_estimation.safety_margin;
  }

  /** The largest retrieval limit of all models: so many messages of a session are kept at hand. */
  get largestRetrievalLimit(): number {
    return Math.max(...[...this.#windows.values()].map((window) => window.retrievalLimit));
  }

  /** The numbers of a model; of the default when the model is unknown. */
  of(model: string): ModelWindow {
    const window = this.#windows.get(model);
    if (window !== undefined) return window;
    return { ...(this.#windows.get(this.#config.default) as ModelWindow), known: false };
  }
}
