import type { FastifyBaseLogger } from 'fastify';
import type { Calibration } from '../context/calibration.ts';
import type { ContextWindow } from '../context/context-window.ts';
import { type Fit, fit } from '../context/fit.ts';
import { CoreError } from '../terms/errors.ts';
import { isInstruction, type Message } from '../terms/message.ts';
import type { MessageTokens } from '../tokens/message-tokens.ts';
import { mediaParts } from '../tokens/prompt.ts';
import type { PromptExtras, TokenSource } from '../tokens/token-source.ts';
import type { TokenSources } from '../tokens/token-sources.ts';
import type { Completion } from './answer.ts';
import { type ChatRequest, extrasOf, requestedOutput } from './request.ts';
import { withSummary } from './summary-message.ts';
import type { PlannedTurn, TurnMessages } from './turn.ts';
import { charactersOf, charactersPerTokenLimit, sum, TurnSizes, windowOf } from './turn-sizes.ts';

/** A turn as it will be sent to one model. */
export interface Plan extends PlannedTurn {
  readonly model: string;
  readonly messages: readonly Message[];
  readonly maxOutputTokens: number;
  /** Takes in what the model reports of the answer. */
  learn(usage: Completion['usage']): void;
  /** The size of an answer; undefined when it can't be counted now. */
  count(answer: Message, signal: AbortSignal): Promise<MessageTokens | undefined>;
}

/** The size of a prompt, and who counted it. */
export interface CountedPrompt {
  readonly model: string;
  readonly promptTokens: number;
  readonly windowTokens: number;
  readonly tokenizer: string;
  readonly exact: boolean;
}

/** Remembered names of unknown models, so that each is warned of once; clients choose them, hence a limit. */
const warnedLimit = 1000;
/** A prompt of more tokens is told to have this many when it can only be estimated. */
const countLimit = 1_000_000;

/** Plans turns: what of a conversation fits the window of the model, by the model's own count of tokens. */
export class Planner {
  readonly window: ContextWindow;
  readonly #sources: TokenSources;
  readonly #calibration: Calibration;
  readonly #log: FastifyBaseLogger;
  readonly #warned = new Set<string>();

  constructor(
    window: ContextWindow,
    sources: TokenSources,
    calibration: Calibration,
    log: FastifyBaseLogger,
  ) {
    this.window = window;
    this.#sources = sources;
    this.#calibration = calibration;
    this.#log = log;
  }

  /** The model that a request means. */
  modelOf(request: Pick<ChatRequest, 'model'>): string {
    return request.model ?? this.window.defaultModel;
  }

  /** How many messages of the past are fetched for a model. */
  retrievalLimit(model: string): number {
    return this.window.of(model).retrievalLimit;
  }

  /** @throws {CoreError} `context_length_exceeded` */
  async plan(
    request: ChatRequest,
    model: string,
    turn: TurnMessages,
    caller: string | undefined,
    signal: AbortSignal,
  ): Promise<Plan> {
    const window = this.window.of(model);
    if (!window.known) this.#warnOnce(model);
    const target = { model, caller, limit: 2 * window.limits.context_window_tokens };
    return this.#sources.using(target, signal, async (source) => {
      const sizes = new TurnSizes(source, window, turn, signal);
      const planned = await this.#fit(request, model, turn, sizes);
      const scale = source.exact ? undefined : this.#calibration.scaleOf(caller, model);
      const report = {
        caller,
        model,
        label: window.known ? model : 'other',
        planned: planned.fit.promptTokens,
        scale,
      };
      return {
        model,
        messages: planned.messages,
        maxOutputTokens: planned.fit.maxOutputTokens,
        firstSent: turn.earlierMessages - planned.sentHistory + 1,
        context: {
          messages: {
            sent: planned.sentHistory + turn.fresh.length,
            of: turn.earlierMessages + turn.fresh.length,
          },
          tokens: {
            prompt: planned.fit.promptTokens,
            window: sizes.windowTokens,
            max_output: planned.fit.maxOutputTokens,
          },
          tokenizer: source.tokenizer,
          summarized: planned.fit.withSummary,
          ...(planned.fit.withSummary && turn.summary ? { summary_up_to: turn.summary.upTo } : {}),
        },
        tokensOf: (message) => sizes.countedOf(message),
        learn: (usage) => this.#calibration.learn(report, usage?.prompt_tokens),
        count: async (answer, until) => {
          try {
            return { tokens: await source.message(answer, until), tokenizer: source.tokenizer };
          } catch {
            return undefined;
          }
        },
      };
    });
  }

  /** How many tokens a prompt has as it is, without a session. What is far larger than the window is only estimated. */
  async count(request: ChatRequest, caller: string | undefined, signal: AbortSignal): Promise<CountedPrompt> {
    const model = this.modelOf(request);
    const window = this.window.of(model);
    const { messages } = request;
    const extras = extrasOf(request);
    const target = { model, caller, limit: countLimit };
    const count = async (source: TokenSource): Promise<CountedPrompt> => {
      const whole = await source.whole(messages, extras, signal);
      const media = sum(messages.map((message) => mediaParts(message) * window.limits.image_tokens));
      return {
        model,
        promptTokens: media + (whole ?? (await addUp(source, messages, extras, signal))),
        windowTokens: windowOf(window, source),
        tokenizer: source.tokenizer,
        exact: whole !== undefined,
      };
    };
    const characters = charactersOf(messages, extras);
    if (characters > charactersPerTokenLimit * window.limits.context_window_tokens) {
      return count(this.#sources.estimate(target));
    }
    return this.#sources.using(target, signal, count);
  }

  async #fit(
    request: ChatRequest,
    model: string,
    turn: TurnMessages,
    sizes: TurnSizes,
  ): Promise<{ fit: Fit; messages: readonly Message[]; sentHistory: number }> {
    const { limits } = sizes.window;
    const extras = extrasOf(request);
    const [history, fresh] = keepToolCallsWhole(turn.history, turn.fresh);
    const instructed = await sizes.instructions(turn.instructions);
    const summarized =
      turn.summary === null ? turn.instructions : withSummary(turn.instructions, turn.summary.text);
    const summaryTokens = turn.summary === null ? 0 : (await sizes.instructions(summarized)) - instructed;
    const fixedTokens = instructed + (await sizes.fixed(fresh, extras));
    // Only the newest can be chosen: the others need not be counted.
    const candidates = history.slice(-limits.message_budget.recent_messages);
    const size = {
      windowTokens: sizes.plannableTokens(this.window.safetyMargin),
      fixedTokens,
      historyTokens: await sizes.newest(candidates, limits.message_budget.max_history_tokens),
      mayBegin: candidates.map(({ role }) => role === 'user'),
      summaryTokens,
      hasEarlier: turn.earlierMessages > candidates.length,
      requestedOutput: requestedOutput(request),
    };
    let found = fit(limits, size);
    const start = found?.start ?? candidates.length;
    if (found === undefined) {
      // What was added up is a little more than the whole: only the whole itself can tell that it does not fit.
      const whole = await sizes.whole([...turn.instructions, ...fresh], extras, fixedTokens);
      if (whole !== undefined)
        found = fit(limits, { ...size, fixedTokens: whole, historyTokens: [], summaryTokens: 0 });
      if (found === undefined) throw tooLarge(model, whole ?? fixedTokens, size.windowTokens);
    }
    const sent = [...candidates.slice(start), ...fresh];
    return {
      fit: found,
      messages: [...(found.withSummary ? summarized : turn.instructions), ...sent],
      sentHistory: sent.length - turn.fresh.length,
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

async function addUp(
  source: TokenSource,
  messages: readonly Message[],
  extras: PromptExtras,
  signal: AbortSignal,
): Promise<number> {
  let tokens = (await source.base(signal)) + (await source.extras(extras, signal));
  tokens += await source.instructions(messages.filter(isInstruction), signal);
  for (const message of messages)
    if (!isInstruction(message)) tokens += await source.message(message, signal);
  return tokens;
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

function tooLarge(model: string, tokens: number, windowTokens: number): CoreError {
  const found = Number.isFinite(tokens)
    ? `takes ${tokens} tokens; the window of ${model} is planned with ${windowTokens} and needs 1 for the answer`
    : `takes many more tokens than the ${windowTokens} that the window of ${model} has`;
  return new CoreError(
    'context_length_exceeded',
    `what is new, with the system prompt and the tools, ${found}: shorten it, or choose a model with a larger window`,
    { param: 'messages' },
  );
}
