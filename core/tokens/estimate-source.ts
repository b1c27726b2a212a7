import { asSent, type Message, textOf } from '../terms/message.ts';
import { estimateText } from './text-estimate.ts';
import type { PromptExtras, TokenSource } from './token-source.ts';

/** Begin of text, the head of the answer, and a system prompt that the chat template may put there by itself. */
const baseTokens = 56;
/** The marks around a message. */
const messageTokens = 9;
/** What chat templates say about the use of tools. */
const toolsTokens = 220;

/** Costs by a conservative estimate: for models whose tokenizer is nowhere to be had. */
export class EstimateSource implements TokenSource {
  readonly tokenizer = 'estimate';
  readonly exact = false;
  readonly #scale: number;
  readonly #limit: number;

  /**
   * @param scale learned from what the model reported, from 1
   * @param limit counting stops there: a text of so many tokens does not fit anyway
   */
  constructor(scale: number, limit: number) {
    this.#scale = scale;
    this.#limit = limit;
  }

  async base(): Promise<number> {
    return Math.ceil(baseTokens * this.#scale);
  }

  async message(message: Message): Promise<number> {
    const { content, role: _, ...rest } = asSent(message);
    let tokens = messageTokens + this.#text(textOf({ role: message.role, content }));
    for (const value of Object.values(rest)) {
      if (value === undefined || value === null) continue;
      tokens += this.#text(typeof value === 'string' ? value : JSON.stringify(value));
    }
    return Math.ceil(tokens * this.#scale);
  }

  async instructions(messages: readonly Message[]): Promise<number> {
    let tokens = 0;
    for (const message of messages) tokens += await this.message(message);
    return tokens;
  }

  async extras({ tools, responseFormat }: PromptExtras): Promise<number> {
    let tokens = 0;
    if (tools !== undefined && tools.length > 0) tokens += toolsTokens + this.#text(JSON.stringify(tools));
    if (typeof responseFormat === 'object' && responseFormat !== null) {
      tokens += this.#text(JSON.stringify(responseFormat));
    }
    return Math.ceil(tokens * this.#scale);
  }

  async whole(): Promise<undefined> {
    return undefined;
  }

  #text(text: string): number {
    return estimateText(text, this.#limit);
  }
}
