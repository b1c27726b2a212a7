import t from 'tap';
import { LoadedVocabulary } from '../../../core/tokens/loaded-vocabulary.ts';
import { readVocabulary } from '../../../core/tokens/vocabularies.ts';
import { startTestCore, type TestCore } from '../../support/core-service.ts';
import { tools } from '../../support/mixed-texts.ts';
import { promptTokensOf, serveLikeLlamaCpp, serveLikeVllm } from '../../support/serving-like.ts';

const vocabulary = new LoadedVocabulary(await readVocabulary('qwen2.5'));
const post = (core: TestCore, path: string, body: object, headers: Record<string, string> = {}) =>
  core.fetch(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
const messages = [
  { role: 'system', content: 'be brief' },
  { role: 'user', content: 'What is the weather in Oslo, 挪威? 🙂' },
];

for (const serve of [serveLikeVllm, serveLikeLlamaCpp]) {
  t.test(`counts with the tokenizer of a model server, ${serve.name}`, async (t) => {
    const core = await startTestCore(t);
    serve(core.model, vocabulary, 4096);
    const counted = await (await post(core, '/v1/tokens/count', { messages, tools })).json();
    t.strictSame(counted, {
      model: 'qwen2.5-coder-7b-instruct',
      prompt_tokens: promptTokensOf(vocabulary, { messages, tools } as never),
      context_window_tokens: 4096,
      tokenizer: 'server:qwen2.5-coder-7b-instruct',
      exact: true,
    });
    t.equal(core.model.calls.length, 0, 'the model itself is not asked');
  });
}

t.test('answers and the record of the turn say what the window did', async (t) => {
  const core = await startTestCore(t);
  serveLikeVllm(core.model, vocabulary, 4096);
  let response = await core.say('s', 'hi');
  t.match(response.headers.get('x-context-messages'), '1/1');
  for (let turn = 0; turn < 4; turn++) response = await core.say('s', `${turn} `.repeat(400));
  const sent = core.model.calls.at(-1)!;
  const of = 9;
  t.equal(response.headers.get('x-context-messages'), `${sent.body.messages.length}/${of}`);
  t.ok(sent.body.messages.length < of, 'not everything fits');
  const [, prompt, window] = /^(\d+)\/(\d+)$/.exec(response.headers.get('x-context-tokens') ?? '') ?? [];
  t.equal(window, '4096');
  const exact = promptTokensOf(vocabulary, sent.body);
  t.ok(Number(prompt) >= exact && Number(prompt) < exact + 10, `planned with ${prompt}, ${exact} were sent`);
  t.equal(sent.body.max_tokens, Math.min(2048, 4096 - Number(prompt)), 'the answer takes what is left');
  const { messages } = (await (await core.fetch('/api/chats/s/messages?order=desc')).json()) as {
    messages: { tokens: number; context?: object }[];
  };
  t.match(messages[0]?.context, {
    messages: { sent: sent.body.messages.length, of },
    tokens: { prompt: Number(prompt), window: 4096 },
    tokenizer: 'server:qwen2.5-coder-7b-instruct',
    summarized: false,
  });
  t.ok(
    messages.every(({ tokens }) => tokens > 0),
    'every message is stored with its size',
  );
});

t.test('a message of a session is counted once', async (t) => {
  const core = await startTestCore(t);
  serveLikeVllm(core.model, vocabulary, 4096);
  await core.say('s', 'first');
  const before = core.model.otherCalls.length;
  await core.say('s', 'second');
  const bodies = core.model.otherCalls.slice(before).map(({ body }) => body);
  t.notOk(
    bodies.some((body) => body.includes('"first"')),
    'the history is not counted again',
  );
});

t.test('a tokenizer that fails is replaced by the next source, and the turn goes on', async (t) => {
  const core = await startTestCore(t);
  serveLikeVllm(core.model, vocabulary, 4096);
  await core.say('s', 'one');
  core.model.routes.set('/tokenize', ({ json }) => json(500, { detail: 'out of memory' }));
  const response = await core.say('s', 'two');
  t.equal(response.status, 200);
  const { messages } = (await (await core.fetch('/api/chats/s/messages?order=desc')).json()) as {
    messages: { context?: object }[];
  };
  t.match(messages[0]?.context, { tokenizer: 'estimate' });
});

t.test('a server that serves less than llm_models.yaml says is believed', async (t) => {
  const core = await startTestCore(t);
  serveLikeVllm(core.model, vocabulary, 1000);
  const response = await core.say('s', 'word '.repeat(600));
  t.equal(response.status, 200);
  t.match(core.model.calls[0]?.body.max_tokens, Number);
  t.ok((core.model.calls[0]?.body.max_tokens as number) < 400);
  const refused = await core.say('s', 'word '.repeat(1200));
  t.match(await refused.json(), { error: { code: 'context_length_exceeded' } });
});

t.test('what is far larger than the window is estimated, and refused without a tokenizer', async (t) => {
  const core = await startTestCore(t);
  serveLikeVllm(core.model, vocabulary, 4096);
  await core.say('s', 'hi');
  const before = core.model.otherCalls.length;
  const huge = [{ role: 'user', content: 'word '.repeat(200_000) }];
  t.match(await (await post(core, '/v1/tokens/count', { messages: huge })).json(), {
    prompt_tokens: Number,
    tokenizer: 'estimate',
    exact: false,
  });
  t.match(await (await post(core, '/v1/chat/completions', { messages: huge })).json(), {
    error: { code: 'context_length_exceeded', message: /many more tokens than the 4096/ },
  });
  t.equal(core.model.otherCalls.length, before);
});
