import type { Message } from '../terms/message.ts';
import { isInstruction } from '../terms/message.ts';
import { type Prompt, type PromptMessage, toPromptMessage } from './prompt.ts';
import { type PromptCounter, type PromptExtras, TemplateRefusal, type TokenSource } from './token-source.ts';

const user: PromptMessage = { role: 'user', content: 'x' };
const assistant: PromptMessage = { role: 'assistant', content: 'x' };
const caller: PromptMessage = {
  role: 'assistant',
  content: '',
  tool_calls: [{ id: 'call00000', type: 'function', function: { name: 'f', arguments: '{}' } }],
};

/** What stands before a message of a role when it is measured. */
const before: Readonly<Record<PromptMessage['role'], readonly PromptMessage[]>> = {
  system: [],
  user: [user, assistant],
  assistant: [user],
  tool: [user, caller],
};
/** For the marks of a message that the chat template does not take as it is. */
const refusedMarks = 24;

/** Costs of messages, measured with a counter of whole prompts: what a prompt grows by when they are put into it. */
export class TemplateSource implements TokenSource {
  readonly exact = true;
  readonly #counter: PromptCounter;
  readonly #frames = new Map<readonly PromptMessage[], Promise<number>>();

  constructor(counter: PromptCounter) {
    this.#counter = counter;
  }

  get tokenizer(): string {
    return this.#counter.tokenizer;
  }

  get windowTokens(): number | undefined {
    return this.#counter.windowTokens;
  }

  base(signal: AbortSignal): Promise<number> {
    return this.#frame(before.assistant, signal);
  }

  async message(message: Message, signal: AbortSignal): Promise<number> {
    const measured = toPromptMessage(message);
    const frame = before[measured.role];
    try {
      return (
        (await this.#count({ messages: [...frame, measured] }, signal)) - (await this.#frame(frame, signal))
      );
    } catch (error) {
      if (!(error instanceof TemplateRefusal)) throw error;
      return this.#plain([measured.content, measured.tool_calls], signal);
    }
  }

  async instructions(messages: readonly Message[], signal: AbortSignal): Promise<number> {
    if (messages.length === 0) return 0;
    const measured = messages.map(toPromptMessage);
    const base = await this.base(signal);
    try {
      return (await this.#count({ messages: [...measured, user] }, signal)) - base;
    } catch (error) {
      if (!(error instanceof TemplateRefusal)) throw error;
      return this.#plain([measured.map(({ content }) => content).join('\n')], signal);
    }
  }

  async extras({ tools, responseFormat }: PromptExtras, signal: AbortSignal): Promise<number> {
    const format = schemaOf(responseFormat);
    let tokens = format === undefined ? 0 : await this.#plain([format], signal);
    if (tools === undefined || tools.length === 0) return tokens;
    try {
      tokens += (await this.#count({ messages: [user], tools }, signal)) - (await this.base(signal));
    } catch (error) {
      if (!(error instanceof TemplateRefusal)) throw error;
      tokens += await this.#plain([tools], signal);
    }
    return tokens;
  }

  async whole(
    messages: readonly Message[],
    extras: PromptExtras,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const ordered = [
      ...messages.filter(isInstruction),
      ...messages.filter((message) => !isInstruction(message)),
    ];
    const { tools } = extras;
    try {
      const counted = await this.#count(
        {
          messages: ordered.map(toPromptMessage),
          ...(tools === undefined || tools.length === 0 ? {} : { tools }),
        },
        signal,
      );
      return (
        counted + (await this.extras({ tools: undefined, responseFormat: extras.responseFormat }, signal))
      );
    } catch (error) {
      if (error instanceof TemplateRefusal) return undefined;
      throw error;
    }
  }

  /** Texts and JSON as the content of a message. */
  async #plain(parts: readonly unknown[], signal: AbortSignal): Promise<number> {
    const content = parts
      .filter((part) => part !== undefined && part !== null)
      .map((part) => (typeof part === 'string' ? part : JSON.stringify(part, null, 1)))
      .join('\n');
    const whole = await this.#count({ messages: [{ role: 'user', content }] }, signal);
    return whole - (await this.base(signal)) + refusedMarks;
  }

  #count(prompt: Prompt, signal: AbortSignal): Promise<number> {
    return this.#counter.count(prompt, signal);
  }

  #frame(messages: readonly PromptMessage[], signal: AbortSignal): Promise<number> {
    if (messages.length === 0) return this.base(signal);
    let counted = this.#frames.get(messages);
    if (counted === undefined) {
      counted = this.#count({ messages }, signal);
      this.#frames.set(messages, counted);
      counted.catch(() => this.#frames.delete(messages));
    }
    return counted;
  }
}

/** The part of a response format that servers may put into the prompt. */
function schemaOf(responseFormat: unknown): unknown {
  if (typeof responseFormat !== 'object' || responseFormat === null) return undefined;
  return (responseFormat as { json_schema?: unknown }).json_schema;
}
