import { type ModelLimits, reservedOutput } from '../config/llm-models.ts';

/** A turn in numbers; all in tokens. */
export interface TurnSize {
  /** The window that is planned with. */
  readonly windowTokens: number;
  /** All that has to be sent: system prompt, tools, new messages. */
  readonly fixedTokens: number;
  /** Each message of the history, the oldest first. */
  readonly historyTokens: readonly number[];
  /** Whether each message of the history may be the first that is sent: chat templates want a conversation to begin with its user. */
  readonly mayBegin: readonly boolean[];
  /** What a summary of the messages before the history takes when not all of it is sent; 0 without one. */
  readonly summaryTokens: number;
  /** True when there are messages before those of `historyTokens`, so that some are left out in any case. */
  readonly hasEarlier: boolean;
  /** What the client asked for at most; undefined when it named no maximum. */
  readonly requestedOutput: number | undefined;
}

/** What is sent, in numbers. */
export interface Fit {
  /** Index of the first message of the history that is sent. */
  readonly start: number;
  readonly promptTokens: number;
  /** At least 1. */
  readonly maxOutputTokens: number;
  readonly withSummary: boolean;
}

/**
 * The one place that decides how much of a conversation a model is sent: the newest messages, without gaps. Pure.
 *
 * Always holds: promptTokens + maxOutputTokens ≤ windowTokens. The answer gets what is left, up to the model's maximum
 * and the client's; the history leaves as much free as the client asked for, or as the model reserves.
 *
 * @returns undefined when what has to be sent leaves no room for one token of an answer
 */
export function fit(limits: ModelLimits, turn: TurnSize): Fit | undefined {
  const { windowTokens, fixedTokens } = turn;
  if (fixedTokens + 1 > windowTokens) return undefined;
  const ceiling = Math.min(turn.requestedOutput ?? Number.POSITIVE_INFINITY, limits.max_output_tokens);
  const reserved = turn.requestedOutput === undefined ? reservedOutput(limits) : ceiling;
  const room = Math.max(0, windowTokens - fixedTokens - reserved);

  const whole = takeNewest(limits, turn, room);
  const cut = whole.start > 0 || turn.hasEarlier;
  const withSummary = cut && turn.summaryTokens > 0 && turn.summaryTokens <= room;
  const taken = withSummary ? takeNewest(limits, turn, room - turn.summaryTokens) : whole;
  const promptTokens = fixedTokens + taken.tokens + (withSummary ? turn.summaryTokens : 0);
  return {
    start: taken.start,
    promptTokens,
    maxOutputTokens: Math.max(1, Math.min(ceiling, windowTokens - promptTokens)),
    withSummary,
  };
}

function takeNewest(
  { message_budget: budget }: ModelLimits,
  { historyTokens: sizes, mayBegin }: TurnSize,
  room: number,
): { start: number; tokens: number } {
  const limit = Math.min(room, budget.max_history_tokens);
  const oldest = Math.max(0, sizes.length - budget.recent_messages);
  let start = sizes.length;
  let tokens = 0;
  while (start > oldest && tokens + (sizes[start - 1] as number) <= limit) {
    start--;
    tokens += sizes[start] as number;
  }
  while (start < sizes.length && !mayBegin[start]) {
    tokens -= sizes[start] as number;
    start++;
  }
  return { start, tokens };
}
