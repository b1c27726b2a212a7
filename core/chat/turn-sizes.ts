import type { ModelWindow } from '../context/context-window.ts';
import { type Message, textOf } from '../terms/message.ts';
import type { MessageTokens } from '../tokens/message-tokens.ts';
import { mediaParts } from '../tokens/prompt.ts';
import type { PromptExtras, TokenSource } from '../tokens/token-source.ts';
import type { TurnMessages } from './turn.ts';

/** No vocabulary has tokens that are longer on average: a text of more characters a token can't fit. */
export const charactersPerTokenLimit = 64;
/** So many messages are counted at the same time. */
const countedAtOnce = 8;
/** Adding up costs a few tokens a message, never half of a window. */
const worthCounting = 1.5;

/** The sizes of the messages of one turn, as one source counts them. */
export class TurnSizes {
  readonly window: ModelWindow;
  readonly #source: TokenSource;
  readonly #turn: TurnMessages;
  readonly #signal: AbortSignal;
  readonly #counted = new Map<Message, number>();

  constructor(source: TokenSource, window: ModelWindow, turn: TurnMessages, signal: AbortSignal) {
    this.#source = source;
    this.window = window;
    this.#turn = turn;
    this.#signal = signal;
  }

  get windowTokens(): number {
    return windowOf(this.window, this.#source);
  }

  plannableTokens(safetyMargin: number): number {
    return this.#source.exact ? this.windowTokens : Math.floor(this.windowTokens * safetyMargin);
  }

  async instructions(messages: readonly Message[]): Promise<number> {
    if (this.#isHuge(messages)) return Number.POSITIVE_INFINITY;
    return this.#source.instructions(messages, this.#signal);
  }

  /** Everything that has to be sent, without the instructions. */
  async fixed(fresh: readonly Message[], extras: PromptExtras): Promise<number> {
    // Tokenizers are for everybody: what can't fit anyway takes none of their time.
    if (this.#isHuge(fresh, extras)) return Number.POSITIVE_INFINITY;
    const base = await this.#source.base(this.#signal);
    const extra = await this.#source.extras(extras, this.#signal);
    return base + extra + sum(await this.#sizesOf(fresh));
  }

  /** Sizes of messages, the newest counted first; those that a budget can't reach are left uncounted, as infinite. */
  async newest(messages: readonly Message[], budgetTokens: number): Promise<number[]> {
    const sizes = messages.map(() => Number.POSITIVE_INFINITY);
    let end = messages.length;
    for (let left = budgetTokens; end > 0 && left >= 0; end -= countedAtOnce) {
      const begin = Math.max(0, end - countedAtOnce);
      const counted = await this.#sizesOf(messages.slice(begin, end));
      sizes.splice(begin, counted.length, ...counted);
      left -= sum(counted);
    }
    return sizes;
  }

  /**
   * Everything as one prompt; undefined when that can't be counted, or can't be small enough to be worth it.
   *
   * @param added what adding up came to
   */
  async whole(
    messages: readonly Message[],
    extras: PromptExtras,
    added: number,
  ): Promise<number | undefined> {
    if (added > worthCounting * this.windowTokens) return undefined;
    const counted = await this.#source.whole(messages, extras, this.#signal);
    return counted === undefined ? undefined : counted + sum(messages.map((message) => this.media(message)));
  }

  media(message: Message): number {
    return mediaParts(message) * this.window.limits.image_tokens;
  }

  countedOf(message: Message): MessageTokens | undefined {
    const tokens = this.#counted.get(message);
    return tokens === undefined ? undefined : { tokens, tokenizer: this.#source.tokenizer };
  }

  async #sizesOf(messages: readonly Message[]): Promise<number[]> {
    const sizes: number[] = [];
    for (let start = 0; start < messages.length; start += countedAtOnce) {
      const some = messages.slice(start, start + countedAtOnce);
      sizes.push(...(await Promise.all(some.map((message) => this.#sizeOf(message)))));
    }
    return sizes;
  }

  async #sizeOf(message: Message): Promise<number> {
    if (this.#isHuge([message])) return Number.POSITIVE_INFINITY;
    const stored = this.#turn.storedTokens(message);
    const tokens =
      stored?.tokenizer === this.#source.tokenizer
        ? stored.tokens
        : await this.#source.message(message, this.#signal);
    this.#counted.set(message, tokens);
    return tokens + this.media(message);
  }

  #isHuge(messages: readonly Message[], extras?: PromptExtras): boolean {
    return charactersOf(messages, extras) > charactersPerTokenLimit * this.windowTokens;
  }
}

/** The window of the model: what llm_models.yaml says, and never more than its server does. */
export function windowOf({ limits, known }: ModelWindow, source: TokenSource): number {
  const served = source.windowTokens;
  if (served === undefined) return limits.context_window_tokens;
  return known ? Math.min(served, limits.context_window_tokens) : served;
}

/** Characters of the text in a prompt. */
export function charactersOf(messages: readonly Message[], extras?: PromptExtras): number {
  const texts = sum(messages.map((message) => textOf(message).length + lengthOf(message.tool_calls)));
  return texts + lengthOf(extras?.tools) + lengthOf(extras?.responseFormat);
}

function lengthOf(value: unknown): number {
  return value === undefined || value === null ? 0 : JSON.stringify(value).length;
}

export function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
