import { parentPort } from 'node:worker_threads';
import { LoadedVocabulary } from './loaded-vocabulary.ts';
import type { Prompt } from './prompt.ts';
import type { VocabularyFiles } from './vocabularies.ts';

/** What the thread is asked: to load a tokenizer, or to count with one. */
export type VocabularyRequest =
  | { readonly id: number; readonly load: string; readonly files: VocabularyFiles }
  | { readonly id: number; readonly countWith: string; readonly prompt: Prompt };

export type VocabularyReply =
  | { readonly id: number; readonly tokens: number }
  | { readonly id: number; readonly refused: string };

const loaded = new Map<string, LoadedVocabulary>();

parentPort?.on('message', (request: VocabularyRequest) => {
  let reply: VocabularyReply;
  try {
    reply = { id: request.id, tokens: answer(request) };
  } catch (error) {
    reply = { id: request.id, refused: (error as Error).message };
  }
  parentPort?.postMessage(reply);
});

function answer(request: VocabularyRequest): number {
  if ('load' in request) {
    loaded.set(request.load, new LoadedVocabulary(request.files));
    return 0;
  }
  const vocabulary = loaded.get(request.countWith);
  if (vocabulary === undefined) throw new Error(`the tokenizer ${request.countWith} is not loaded`);
  return vocabulary.count(request.prompt);
}
