import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { loadCoreConfig } from '../../../core/config/core-config.ts';
import { loadLlmModels } from '../../../core/config/llm-models.ts';
import { shippedModelsFile } from '../../support/core-service.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const example = new URL('../../../config/examples/core.yaml', import.meta.url).pathname;

async function fileWith(t: Test, text: string): Promise<string> {
  const file = join(await tempFolder(t), 'some.yaml');
  await writeFile(file, text);
  return file;
}

const least = `listen: 127.0.0.1:8001
redis: { url: "redis://127.0.0.1:6379" }
sqlite: a/core.db
files: /srv/files
outbound: 127.0.0.1:15001
models: { file: llm_models.yaml }
`;

t.test('the example is valid and has the documented defaults', async (t) => {
  const config = await loadCoreConfig(example);
  t.match(config, {
    upload_limit: 50 * 1024 * 1024,
    models: { file: shippedModelsFile, service: 'ai-stack' },
    timeouts: {
      redis: 250,
      connect: 2000,
      response: 120_000,
      idle: 30_000,
      turn: 600_000,
      hang_up: 10_000,
      drain: 10_000,
    },
    redis: { pool: 2, databases: { chat: 0 } },
  });
});

t.test('what is optional has defaults, and paths are relative to the file', async (t) => {
  const file = await fileWith(t, least);
  const config = await loadCoreConfig(file);
  t.equal(config.sqlite, join(dirname(file), 'a/core.db'));
  t.equal(config.files, '/srv/files');
  t.match(config, { timeouts: (await loadCoreConfig(example)).timeouts, redis: { databases: { chat: 0 } } });
});

for (const [title, text, expected] of [
  ['an unknown key', `${least}feature: true\n`, /some\.yaml:7:1: feature: found an unknown key/],
  [
    'a bare number for a duration',
    `${least}timeouts: { idle: 30 }\n`,
    /some\.yaml:7:19: timeouts\.idle: found 30, expected a duration/,
  ],
  [
    'a password in the URL',
    least.replace('redis://', 'redis://:secret@'),
    /expected a URL without a password/,
  ],
  [
    'several databases on a cluster',
    least.replace('"redis://127.0.0.1:6379"', '"redis+cluster://a,b", databases: { chat: 1 }'),
    /redis\.databases\.chat: found 1, expected 0/,
  ],
  [
    'a Sentinel URL without the master',
    least.replace('redis://', 'redis+sentinel://'),
    /the name of the master/,
  ],
] as const) {
  t.test(`refuses ${title}, naming the place`, async (t) => {
    await t.rejects(loadCoreConfig(await fileWith(t, text)), {
      code: 'bad-configuration',
      message: expected,
    });
  });
}

t.test('llm_models.yaml has to add up', async (t) => {
  const models = (line: string, { fallback = 'm', history = 1500 } = {}) =>
    fileWith(
      t,
      `default: ${fallback}
token_estimation: { safety_margin: 0.9 }
models:
  m:
    ${line}
    message_budget: { system_prompt: 500, recent_messages: 20, max_history_tokens: ${history} }
`,
    );
  const sound = 'context_window_tokens: 4096\n    max_output_tokens: 2048';
  const roomy = 'context_window_tokens: 4096\n    max_output_tokens: 4096';
  t.ok(await loadLlmModels(await models(sound)));
  await t.rejects(loadLlmModels(await models(sound, { fallback: 'other' })), {
    message: /:1:10: default: found "other", expected one of the models below: m/,
  });
  await t.rejects(loadLlmModels(await models(sound, { history: 3000 })), {
    message:
      /:7:84: models\.m\.message_budget\.max_history_tokens: found 3000, expected at most 2098: .* a larger history is never reached/,
  });
  await t.rejects(loadLlmModels(await models(`${roomy}\n    reserved_output_tokens: 3500`, { history: 0 })), {
    message: /reserved_output_tokens: .*expected at most \d+: of 3686 tokens/,
  });
  await t.rejects(loadLlmModels(await models(`${sound}\n    tokenizer: unheard-of`)), {
    message: /tokenizer: found "unheard-of", expected qwen2\.5, or the path of a folder/,
  });
  await t.rejects(loadLlmModels(await models(`${sound}\n    fallbacks: [m]`)), {
    message: /fallbacks\.0: found "m", expected another of the models/,
  });
});

t.test('the path of a tokenizer is relative to llm_models.yaml', async (t) => {
  const file = await fileWith(
    t,
    `default: m
token_estimation: { safety_margin: 0.9 }
models:
  m:
    context_window_tokens: 4096
    max_output_tokens: 2048
    tokenizer: ./mine
    message_budget: { system_prompt: 500, recent_messages: 20, max_history_tokens: 1500 }
`,
  );
  t.equal((await loadLlmModels(file)).models.m?.tokenizer, join(dirname(file), 'mine'));
});
