import type { Message } from '../terms/message.ts';
import type { Prompt } from './prompt.ts';

/** Counting failed in a way that another source may not: the next one is asked. */
export class CountUnavailable extends Error {
  readonly code = 'count-unavailable';
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'CountUnavailable';
  }
}

/** The chat template does not take this prompt: two tool calls in one message, say. */
export class TemplateRefusal extends Error {
  readonly code = 'template-refusal';
}

/** Something that counts a whole prompt as the model does, chat template and tools included. */
export interface PromptCounter {
  /** Names the tokenizer; stored beside what it counted. */
  readonly tokenizer: string;
  /** The window of the model as its server tells it, when it does. */
  readonly windowTokens?: number | undefined;
  /** @throws {CountUnavailable | TemplateRefusal} */
  count(prompt: Prompt, signal: AbortSignal): Promise<number>;
}

/** The parts of a request that take room in the window beside its messages. */
export interface PromptExtras {
  readonly tools: readonly unknown[] | undefined;
  readonly responseFormat: unknown;
}

/**
 * What the parts of a prompt cost. The whole costs at most `base` + the parts, whatever their number and order.
 * Media parts are not counted here.
 */
export interface TokenSource {
  readonly tokenizer: string;
  /** False of an estimate: the safety margin holds for it. */
  readonly exact: boolean;
  readonly windowTokens?: number | undefined;
  /** An empty conversation. @throws {CountUnavailable} */
  base(signal: AbortSignal): Promise<number>;
  /** One message of the conversation. @throws {CountUnavailable} */
  message(message: Message, signal: AbortSignal): Promise<number>;
  /** All system and developer messages together; may be below 0 where they replace a system prompt of the template. @throws {CountUnavailable} */
  instructions(messages: readonly Message[], signal: AbortSignal): Promise<number>;
  /** Tools and response format. @throws {CountUnavailable} */
  extras(extras: PromptExtras, signal: AbortSignal): Promise<number>;
  /** The exact size of everything together; undefined when this source can only add up. @throws {CountUnavailable} */
  whole(messages: readonly Message[], extras: PromptExtras, signal: AbortSignal): Promise<number | undefined>;
}
