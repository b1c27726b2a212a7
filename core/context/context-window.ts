import type { LlmModels, ModelLimits } from '../config/llm-models.ts';
import { CoreError } from '../errors.ts';
import type { Message } from '../terms/message.ts';
import { type Estimator, estimateAll, estimateTokens } from './token-estimate.ts';

/** What goes into one turn. All messages in the order in which they were said. */
export interface TurnMessages {
  readonly instructions: readonly Message[];
  readonly history: readonly Message[];
  readonly fresh: readonly Message[];
}

/** What is sent to the model. */
export interface FittedTurn {
  readonly messages: readonly Message[];
  /** Estimated tokens of `messages`. */
  readonly promptTokens: number;
  /** What the model may answer with at most. */
  readonly maxOutputTokens: number;
  /** How many messages of the history are among `messages`. */
  readonly historyMessages: number;
}

/** What one model can take, and what is planned with. All in tokens, except the counts of messages. */
export interface ModelWindow {
  readonly limits: ModelLimits;
  /** False when llm_models.yaml does not name the model, and these are the default's numbers. */
  readonly known: boolean;
  /** The window times the safety margin. */
  readonly usableTokens: number;
  /** How many messages are fetched to choose from: twice the budget of messages. */
  readonly retrievalLimit: number;
}

/**
 * The one place that decides which messages a model is sent. Pure.
 *
 * Always holds, by the estimate: instructions + history + fresh + maxOutputTokens ≤ usableTokens ≤ the model's window.
 */
export class ContextWindow {
  readonly #config: LlmModels;
  readonly #windows: ReadonlyMap<string, ModelWindow>;

  constructor(config: LlmModels) {
    this.#config = config;
    this.#windows = new Map(
      Object.entries(config.models).map(([name, limits]) => [
        name,
        {
          limits,
          known: true,
          usableTokens: Math.floor(limits.context_window_tokens * config.token_estimation.safety_margin),
          retrievalLimit: 2 * limits.message_budget.recent_messages,
        },
      ]),
    );
  }

  get defaultModel(): string {
    return this.#config.default;
  }

  get models(): readonly string[] {
    return [...this.#windows.keys()];
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

  /**
   * Chooses what fits: every instruction and fresh message, and of the history the newest, without gaps.
   *
   * @param requestedOutput what the client asked for at most; the model's own maximum holds as well
   * @throws {CoreError} `context_length_exceeded` when instructions and fresh messages alone are too much
   */
  fit(
    model: string,
    turn: TurnMessages,
    scale: number,
    requestedOutput = Number.POSITIVE_INFINITY,
  ): FittedTurn {
    const { limits, usableTokens } = this.of(model);
    const budget = limits.message_budget;
    const estimator: Estimator = {
      charactersPerToken: this.#config.token_estimation.characters_per_token,
      scale,
    };
    const maxOutputTokens = Math.min(requestedOutput, limits.max_output_tokens);
    const [history, fresh] = keepToolCallsWhole(turn.history, turn.fresh);
    const instructed = estimateAll(turn.instructions, estimator);
    const said = estimateAll(fresh, estimator);
    const room = usableTokens - maxOutputTokens - instructed - said;
    if (room < 0) throw tooLarge(model, turn.instructions.length > 0, instructed, said, room);

    const unusedPromptBudget = Math.max(0, budget.system_prompt - instructed);
    let left = Math.min(budget.max_history_tokens, room - unusedPromptBudget);
    let start = history.length;
    const oldest = Math.max(0, history.length - budget.recent_messages);
    while (start > oldest) {
      const cost = estimateTokens(history[start - 1] as Message, estimator);
      if (cost > left) break;
      left -= cost;
      start--;
    }
    // An answer to a tool call whose call was cut off is an error to model servers.
    while (start < history.length && history[start]?.role === 'tool') start++;
    const messages = [...turn.instructions, ...history.slice(start), ...fresh];
    return {
      messages,
      promptTokens: estimateAll(messages, estimator),
      maxOutputTokens,
      historyMessages: history.length - start,
    };
  }
}

/** The results of tool calls need the call before them: then both count as fresh. */
function keepToolCallsWhole(
  history: readonly Message[],
  fresh: readonly Message[],
): [readonly Message[], readonly Message[]] {
  const caller = history.at(-1);
  if (fresh[0]?.role !== 'tool' || caller?.role !== 'assistant') return [history, fresh];
  return [history.slice(0, -1), [caller, ...fresh]];
}

function tooLarge(
  model: string,
  instructed: boolean,
  instructions: number,
  said: number,
  room: number,
): CoreError {
  return new CoreError(
    'context_length_exceeded',
    `the new message takes about ${said} tokens${instructed ? ` and the system prompt about ${instructions}` : ''}; ` +
      `for ${model} that is ${-room} too many: shorten the message, ask for fewer max_tokens, or choose a model with a larger window`,
    { param: 'messages' },
  );
}
