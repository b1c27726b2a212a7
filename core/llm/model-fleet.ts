import { setTimeout } from 'node:timers/promises';
import { Counter, Gauge, type Registry } from 'prom-client';
import type { LlmModels } from '../config/llm-models.ts';
import { ModelFailure, ModelRefusal } from './failures.ts';
import { afterFailure, isCooling, type ModelState, working } from './model-state.ts';
import { RetryBudget } from './retry-budget.ts';

const retries = 2;
const firstDelayMs = 100;
/** A model that asks for a longer pause is left to its fallbacks. */
const longestPauseMs = 2_000;
/** Clients choose the names of models. */
const unknownLimit = 1_000;

/** How a model does, for /health. */
export interface HealthOfModel {
  readonly status: 'ok' | 'degraded';
  readonly reason?: string;
  readonly retry_in_seconds?: number;
}

/** The models as a fleet: who is asked, how often, and who answers while one fails. */
export class ModelFleet {
  readonly #models: LlmModels['models'];
  readonly #states = new Map<string, ModelState>();
  readonly #budgets = new Map<string, RetryBudget>();
  readonly #calls: Counter<'model' | 'outcome'>;
  readonly #retries: Counter<'model'>;

  constructor(models: LlmModels['models'], registry: Registry) {
    this.#models = models;
    this.#calls = new Counter({
      name: 'countersign_core_model_calls_total',
      help: 'Calls to a model by what came of them: ok, failed, or refused (its own 4xx).',
      labelNames: ['model', 'outcome'],
      registers: [registry],
    });
    this.#retries = new Counter({
      name: 'countersign_core_model_retries_total',
      help: 'Calls that were repeated before the first byte of an answer.',
      labelNames: ['model'],
      registers: [registry],
    });
    const fleet = this;
    new Gauge({
      name: 'countersign_core_model_cooling',
      help: '1 while a model cools down after failures and its fallbacks answer.',
      labelNames: ['model'],
      registers: [registry],
      collect() {
        const now = performance.now();
        for (const model of Object.keys(models))
          this.set({ model }, isCooling(fleet.#stateOf(model), now) ? 1 : 0);
      },
    });
  }

  /** Who may answer for a model, in order: those that cool down come last, so that one is always asked. */
  candidates(model: string): readonly string[] {
    const known = Object.hasOwn(this.#models, model) ? this.#models[model] : undefined;
    const all = [model, ...(known?.fallbacks ?? [])];
    const now = performance.now();
    const cooling = (name: string) => isCooling(this.#stateOf(name), now);
    return [...all.filter((name) => !cooling(name)), ...all.filter(cooling)];
  }

  /**
   * Calls a model; repeats the call after a 429, a 5xx or a lost connection, as long as no byte of an answer has come and the
   * budget allows it.
   *
   * @throws what the last call threw
   */
  async ask<Answer>(model: string, signal: AbortSignal, send: () => Promise<Answer>): Promise<Answer> {
    const budget = this.#budgetOf(model);
    budget.earn();
    for (let attempt = 0; ; attempt++) {
      try {
        const answer = await send();
        this.#count(model, 'ok');
        if (this.#states.has(model)) this.#states.set(model, working);
        return answer;
      } catch (error) {
        this.failed(model, error);
        const pauseMs = pauseBefore(error, attempt);
        if (pauseMs === undefined || attempt === retries || !budget.take()) throw error;
        await setTimeout(pauseMs, undefined, { signal });
        this.#retries.inc({ model: this.#labelOf(model) });
      }
    }
  }

  /** Takes in a failure, also one in the middle of an answer. */
  failed(model: string, error: unknown): void {
    if (error instanceof ModelRefusal && error.status !== 429) {
      this.#count(model, 'refused');
      return;
    }
    const says = error instanceof ModelRefusal || (error instanceof ModelFailure && error.countsAgainstModel);
    if (!says) return;
    this.#count(model, 'failed');
    if (!this.#states.has(model) && this.#states.size >= unknownLimit) return;
    const failure = {
      nowMs: performance.now(),
      retryAfterMs: (error as ModelRefusal | ModelFailure).retryAfterMs,
      reason: (error as Error).message,
    };
    this.#states.set(model, afterFailure(this.#stateOf(model), failure));
  }

  /** How the configured models do. */
  health(): Readonly<Record<string, HealthOfModel>> {
    const now = performance.now();
    return Object.fromEntries(
      Object.keys(this.#models).map((model) => {
        const state = this.#stateOf(model);
        if (state.kind !== 'cooling' || !isCooling(state, now)) return [model, { status: 'ok' as const }];
        const seconds = Math.ceil((state.untilMs - now) / 1000);
        return [model, { status: 'degraded' as const, reason: state.reason, retry_in_seconds: seconds }];
      }),
    );
  }

  #stateOf(model: string): ModelState {
    return this.#states.get(model) ?? working;
  }

  #budgetOf(model: string): RetryBudget {
    const key = this.#labelOf(model);
    let budget = this.#budgets.get(key);
    if (budget === undefined) {
      budget = new RetryBudget();
      this.#budgets.set(key, budget);
    }
    return budget;
  }

  #count(model: string, outcome: 'ok' | 'failed' | 'refused'): void {
    this.#calls.inc({ model: this.#labelOf(model), outcome });
  }

  #labelOf(model: string): string {
    return Object.hasOwn(this.#models, model) ? model : 'other';
  }
}

/** Whether another model may answer what one did not. */
export function mayFallBack(error: unknown): boolean {
  if (error instanceof ModelRefusal) return error.status === 429;
  return error instanceof ModelFailure && error.countsAgainstModel;
}

/** How long to wait before a retry, ± half of it; undefined when there is to be none. */
function pauseBefore(error: unknown, attempt: number): number | undefined {
  const retryable =
    error instanceof ModelRefusal ? error.status === 429 : (error as ModelFailure).retryable === true;
  if (!retryable) return undefined;
  const asked = (error as ModelRefusal | ModelFailure).retryAfterMs;
  if (asked !== undefined) return asked <= longestPauseMs ? asked : undefined;
  return firstDelayMs * 2 ** attempt * (0.5 + Math.random());
}
