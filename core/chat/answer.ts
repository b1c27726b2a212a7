import { CoreError } from '../terms/errors.ts';
import type { Message } from '../terms/message.ts';
import type { FinishedAnswer } from './turn.ts';

interface Delta {
  readonly content?: unknown;
  readonly tool_calls?: unknown;
  readonly reasoning?: unknown;
  readonly reasoning_content?: unknown;
  readonly refusal?: unknown;
  readonly annotations?: unknown;
}

/** What an answer may have beside its text, as it streams: pieces of text. */
const spokenFields = ['reasoning', 'reasoning_content', 'refusal'] as const;
type SpokenField = (typeof spokenFields)[number];

interface Choice {
  readonly index?: unknown;
  readonly delta?: Delta;
  readonly message?: Message;
  readonly finish_reason?: unknown;
}

/** What we read of a completion or of one chunk of it. */
export interface Completion {
  readonly id?: unknown;
  readonly object?: unknown;
  readonly created?: unknown;
  readonly model?: unknown;
  readonly choices?: readonly Choice[];
  readonly usage?:
    | { readonly prompt_tokens?: unknown; readonly completion_tokens?: unknown }
    | null
    | undefined;
  readonly error?: unknown;
}

interface ToolCall {
  id?: string;
  type: string;
  function: { name: string; arguments: string };
}

/** Puts an answer together from its streamed chunks. Pure. */
export class Answer {
  #text = '';
  readonly #toolCalls: ToolCall[] = [];
  readonly #spoken: Partial<Record<SpokenField, string>> = {};
  readonly #annotations: unknown[] = [];
  finishReason: string | undefined;
  usage: Completion['usage'];

  /** Takes in one chunk and returns the text that it adds. Only the first choice counts. */
  add(chunk: Completion): string {
    if (chunk.usage !== null && chunk.usage !== undefined) this.usage = chunk.usage;
    const choice = chunk.choices?.find(({ index }) => (index ?? 0) === 0);
    if (choice === undefined) return '';
    if (typeof choice.finish_reason === 'string') this.finishReason = choice.finish_reason;
    for (const call of toolCallsOf(choice.delta)) this.#addToolCall(call);
    const { delta } = choice;
    if (delta === undefined || delta === null) return '';
    for (const field of spokenFields) {
      const said = delta[field];
      if (typeof said === 'string' && said !== '') this.#spoken[field] = (this.#spoken[field] ?? '') + said;
    }
    if (Array.isArray(delta.annotations)) this.#annotations.push(...delta.annotations);
    const text = delta.content;
    if (typeof text !== 'string') return '';
    this.#text += text;
    return text;
  }

  get text(): string {
    return this.#text;
  }

  /** The whole message, as it is stored. */
  get message(): Message {
    const calls = this.#toolCalls.filter((call) => call !== undefined);
    const onlyCalls = this.#text === '' && (calls.length > 0 || this.#spoken.refusal !== undefined);
    return {
      role: 'assistant',
      content: onlyCalls ? null : this.#text,
      ...(calls.length > 0 ? { tool_calls: calls } : {}),
      ...this.#spoken,
      ...(this.#annotations.length > 0 ? { annotations: this.#annotations } : {}),
    };
  }

  #addToolCall(part: Record<string, unknown>): void {
    const index = typeof part.index === 'number' && part.index >= 0 && part.index < 128 ? part.index : 0;
    const fn = (part.function ?? {}) as Record<string, unknown>;
    this.#toolCalls[index] ??= { type: 'function', function: { name: '', arguments: '' } };
    const call = this.#toolCalls[index];
    if (typeof part.id === 'string') call.id = part.id;
    if (typeof fn.name === 'string') call.function.name += fn.name;
    if (typeof fn.arguments === 'string') call.function.arguments += fn.arguments;
  }
}

function toolCallsOf(delta: Delta | undefined): Record<string, unknown>[] {
  return Array.isArray(delta?.tool_calls) ? (delta.tool_calls as Record<string, unknown>[]) : [];
}

/**
 * The answer in a whole completion; only the first choice counts.
 *
 * @throws {CoreError} `model_interrupted` when there is none
 */
export function finishedAnswer(completion: Completion): FinishedAnswer {
  const choice = (completion as Completion | null)?.choices?.[0];
  if (typeof choice?.message !== 'object' || choice.message === null) {
    throw new CoreError('model_interrupted', 'the model answered without a message');
  }
  const { content, tool_calls, annotations } = choice.message;
  const calls = Array.isArray(tool_calls) && tool_calls.length > 0 ? { tool_calls } : {};
  const spoken = spokenFields
    .map((field) => [field, choice.message?.[field]] as const)
    .filter(([, said]) => typeof said === 'string' && said !== '');
  const mayBeSilent = 'tool_calls' in calls || spoken.some(([field]) => field === 'refusal');
  return {
    message: {
      role: 'assistant',
      content: content ?? (mayBeSilent ? null : ''),
      ...calls,
      ...Object.fromEntries(spoken),
      ...(Array.isArray(annotations) && annotations.length > 0 ? { annotations } : {}),
    },
    finishReason: typeof choice.finish_reason === 'string' ? choice.finish_reason : undefined,
    usage: completion.usage,
  };
}
