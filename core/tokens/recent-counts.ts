import { hash } from 'node:crypto';
import type { Message } from '../terms/message.ts';
import type { PromptExtras, TokenSource } from './token-source.ts';

const entryLimit = 20_000;

/**
 * Counts of what was counted lately, so that a transcript that a client sends again with each turn is counted once. Every caller
 * has entries of its own: nobody can tell from the time of an answer what others have sent.
 */
export class RecentCounts {
  readonly #counts = new Map<string, number>();

  /** A source that remembers. */
  over(source: TokenSource, caller: string | undefined): TokenSource {
    const scope = `${caller ?? ''}\0${source.tokenizer}`;
    return {
      tokenizer: source.tokenizer,
      exact: source.exact,
      windowTokens: source.windowTokens,
      base: (signal) => source.base(signal),
      message: (message, signal) =>
        this.#once([scope, 'message', message], () => source.message(message, signal)),
      instructions: (messages: readonly Message[], signal) =>
        this.#once([scope, 'instructions', messages], () => source.instructions(messages, signal)),
      extras: (extras: PromptExtras, signal) =>
        extras.tools === undefined && extras.responseFormat === undefined
          ? Promise.resolve(0)
          : this.#once([scope, 'extras', extras], () => source.extras(extras, signal)),
      whole: (messages, extras, signal) => source.whole(messages, extras, signal),
    };
  }

  async #once(what: unknown, count: () => Promise<number>): Promise<number> {
    const key = hash('sha256', JSON.stringify(what), 'base64');
    const known = this.#counts.get(key);
    if (known !== undefined) {
      // The most lately used stand at the end.
      this.#counts.delete(key);
      this.#counts.set(key, known);
      return known;
    }
    const counted = await count();
    this.#counts.set(key, counted);
    if (this.#counts.size > entryLimit) this.#counts.delete(this.#counts.keys().next().value as string);
    return counted;
  }
}
