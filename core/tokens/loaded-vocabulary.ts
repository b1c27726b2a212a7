import { zstdDecompressSync } from 'node:zlib';
import { Template } from '@huggingface/jinja';
import { Tokenizer } from '@huggingface/tokenizers';
import type { Prompt, PromptMessage } from './prompt.ts';
import type { VocabularyFiles } from './vocabularies.ts';

/** A tokenizer in memory. Loading and counting block: only for worker threads. */
export class LoadedVocabulary {
  readonly #tokenizer: Tokenizer;
  readonly #template: Template | undefined;
  readonly #tokens: Record<string, unknown>;

  constructor(files: VocabularyFiles) {
    const bytes = files.compressed ? zstdDecompressSync(files.tokenizer) : files.tokenizer;
    const vocabulary = JSON.parse(Buffer.from(bytes).toString()) as object;
    const config = JSON.parse(files.config) as Record<string, unknown>;
    this.#tokenizer = new Tokenizer(vocabulary, config);
    const template = files.chatTemplate ?? templateIn(config);
    this.#template = template === undefined ? undefined : new Template(template);
    this.#tokens = {
      bos_token: tokenText(config.bos_token),
      eos_token: tokenText(config.eos_token),
      pad_token: tokenText(config.pad_token),
      unk_token: tokenText(config.unk_token),
    };
  }

  /**
   * Tokens of a prompt, from the begin of the text to the head of the answer.
   *
   * @throws {Error} the chat template's own, when it does not take the prompt
   */
  count({ messages, tools }: Prompt): number {
    const text =
      this.#template === undefined
        ? messages.map(({ role, content }) => `<|im_start|>${role}\n${content}<|im_end|>\n`).join('')
        : this.#template.render({
            ...this.#tokens,
            messages: messages.map(withParsedArguments),
            ...(tools === undefined ? {} : { tools }),
            add_generation_prompt: true,
          });
    return this.#tokenizer.encode(text, { add_special_tokens: false }).ids.length;
  }
}

function templateIn({ chat_template }: Record<string, unknown>): string | undefined {
  if (typeof chat_template === 'string') return chat_template;
  if (!Array.isArray(chat_template)) return undefined;
  return chat_template.find(({ name }) => name === 'default')?.template;
}

function tokenText(token: unknown): string {
  if (typeof token === 'string') return token;
  return (token as { content?: string } | null | undefined)?.content ?? '';
}

/** Templates write the arguments of a call as JSON themselves. */
function withParsedArguments(message: PromptMessage): object {
  if (!Array.isArray(message.tool_calls)) return message;
  return {
    ...message,
    tool_calls: message.tool_calls.map((call) => {
      const { function: fn } = call as { function?: { arguments?: unknown } };
      if (typeof fn?.arguments !== 'string') return call;
      try {
        return { ...call, function: { ...fn, arguments: JSON.parse(fn.arguments) } };
      } catch {
        return call;
      }
    }),
  };
}
