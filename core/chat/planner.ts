import type { FastifyBaseLogger } from 'fastify';
import type { Calibration } from '../context/calibration.ts';
import type { ContextWindow, FittedTurn, TurnMessages } from '../context/context-window.ts';
import { type ChatRequest, requestedOutput } from './request.ts';

/** A turn as it will be sent, and what is needed to learn from the model's report on it. */
export interface Plan extends FittedTurn {
  readonly model: string;
  /** Takes in `usage.prompt_tokens` of the answer. */
  readonly learn: (promptTokens: unknown) => void;
}

/** Remembered names of unknown models, so that each is warned of once; clients choose them, hence a limit. */
const warnedLimit = 1000;

/** Plans turns: the model's window, with the estimate that its own reports have calibrated. */
export class Planner {
  readonly window: ContextWindow;
  readonly #calibration: Calibration;
  readonly #log: FastifyBaseLogger;
  readonly #warned = new Set<string>();

  constructor(window: ContextWindow, calibration: Calibration, log: FastifyBaseLogger) {
    this.window = window;
    this.#calibration = calibration;
    this.#log = log;
  }

  /** The model that a request means. */
  modelOf(request: ChatRequest): string {
    return request.model ?? this.window.defaultModel;
  }

  /** How many messages of the past are fetched for a model. */
  retrievalLimit(model: string): number {
    return this.window.of(model).retrievalLimit;
  }

  /** @throws {import('../errors.ts').CoreError} `context_length_exceeded` */
  plan(request: ChatRequest, turn: TurnMessages): Plan {
    const model = this.modelOf(request);
    const { known } = this.window.of(model);
    if (!known) this.#warnOnce(model);
    const scale = this.#calibration.scaleOf(model);
    const fitted = this.window.fit(model, turn, scale, requestedOutput(request));
    const label = known ? model : 'other';
    return {
      ...fitted,
      model,
      learn: (promptTokens) =>
        this.#calibration.learn(model, label, fitted.promptTokens, scale, promptTokens),
    };
  }

  #warnOnce(model: string): void {
    if (this.#warned.has(model) || this.#warned.size >= warnedLimit) return;
    this.#warned.add(model);
    this.#log.warn(
      { model, default: this.window.defaultModel },
      'llm_models.yaml does not name this model: planning its window with the numbers of the default',
    );
  }
}
