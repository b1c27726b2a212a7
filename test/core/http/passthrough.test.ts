import OpenAI from 'openai';
import t from 'tap';
import { startTestCore, type TestCore } from '../../support/core-service.ts';
import { answerWith } from '../../support/model-server.ts';

const client = ({ url }: TestCore) => new OpenAI({ baseURL: `${url}/v1`, apiKey: 'unused', maxRetries: 0 });

t.test('embeddings are passed through', async (t) => {
  const core = await startTestCore(t);
  core.model.routes.set('/v1/embeddings', ({ json, body }) => {
    const { input, model } = JSON.parse(body);
    const data = input.map((_: string, index: number) => ({
      object: 'embedding',
      index,
      embedding: [0.5, index],
    }));
    json(200, { object: 'list', model, data, usage: { prompt_tokens: 2, total_tokens: 2 } });
  });
  const answer = await client(core).embeddings.create({
    model: 'embed',
    input: ['a', 'b'],
    encoding_format: 'float',
  });
  t.match(answer, { model: 'embed', data: [{ embedding: [0.5, 0] }, { embedding: [0.5, 1] }] });
  t.equal(core.model.otherCalls[0]?.headers.host, 'ai-stack');
});

t.test('completions are passed through, streamed and not, and so are refusals', async (t) => {
  const core = await startTestCore(t);
  core.model.routes.set('/v1/completions', ({ json, body, response }) => {
    const { stream, prompt, suffix } = JSON.parse(body);
    if (suffix !== undefined) {
      return json(400, {
        error: { message: 'no suffix', type: 'BadRequestError', param: 'suffix', code: null },
      });
    }
    const whole = (text: string) => ({ id: 'c', object: 'text_completion', choices: [{ index: 0, text }] });
    if (stream !== true) return json(200, whole(`${prompt}!`));
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(`data: ${JSON.stringify(whole('one '))}\n\n`);
    response.end(`data: ${JSON.stringify(whole('two'))}\n\ndata: [DONE]\n\n`);
  });
  const openai = client(core);
  const answer = await openai.completions.create({ model: 'm', prompt: 'go' });
  t.equal(answer.choices[0]?.text, 'go!');
  let text = '';
  for await (const chunk of await openai.completions.create({ model: 'm', prompt: 'go', stream: true })) {
    text += chunk.choices[0]?.text;
  }
  t.equal(text, 'one two');
  const refused = openai.completions.create({ model: 'm', prompt: 'go', suffix: 'x' });
  t.match(await refused.catch((error: unknown) => error), { status: 400, param: 'suffix' });
});

t.test('/v1/models has what the model server serves, joined with llm_models.yaml', async (t) => {
  const core = await startTestCore(t);
  core.model.routes.set('/v1/models', ({ json }) =>
    json(200, {
      object: 'list',
      data: [
        { id: 'phi-3-mini-4k-instruct', object: 'model', created: 5, owned_by: 'vllm', max_model_len: 4096 },
        { id: 'org/other', object: 'model', created: 6, owned_by: 'vllm' },
      ],
    }),
  );
  const openai = client(core);
  const listed: { id: string }[] = [];
  for await (const model of openai.models.list()) listed.push(model);
  t.match(
    listed.map(({ id }) => id),
    [
      'qwen2.5-coder-7b-instruct',
      'qwen2.5-coder-14b-instruct',
      'llama-3.2-3b-instruct',
      /^phi-3/,
      'org/other',
    ],
  );
  t.match(listed[0], { owned_by: 'countersign', served: false, context_window_tokens: 4096 });
  t.match(listed[3], { owned_by: 'vllm', served: true, max_model_len: 4096, max_output_tokens: 2048 });
  t.match(await openai.models.retrieve('org/other'), { id: 'org/other', created: 6 });
});

t.test('a body with an image may be as large as an upload, and the image counts', async (t) => {
  const core = await startTestCore(t);
  const image = `data:image/png;base64,${'A'.repeat(3_900_000)}`;
  const content = [
    { type: 'text' as const, text: 'What is this?' },
    { type: 'image_url' as const, image_url: { url: image } },
  ];
  const answer = await client(core).chat.completions.create({
    model: 'm',
    messages: [{ role: 'user', content }],
  });
  t.match(answer.choices[0]?.message.content, /You said/);
  t.strictSame(core.model.calls[0]?.body.messages[0]?.content, content);
  t.ok((core.model.calls[0]?.body.max_tokens as number) <= 4096 * 0.9 - 1500, 'the image takes its room');
});

t.test('reasoning, refusal and annotations are kept, and reasoning is not sent back', async (t) => {
  const core = await startTestCore(t);
  core.model.behaviour = (call) => {
    call.chunk({ reasoning_content: 'they want ' });
    call.chunk({ reasoning_content: 'a number' });
    call.chunk({ content: 'seven' });
    call.chunk({ annotations: [{ type: 'url_citation', url_citation: { url: 'https://a.example' } }] });
    call.finish();
  };
  const openai = client(core);
  const headers = { 'x-session-id': 's' };
  const ask = { model: 'm', messages: [{ role: 'user' as const, content: 'a number?' }] };
  for await (const _ of await openai.chat.completions.create({ ...ask, stream: true }, { headers }));
  core.model.behaviour = (call) => {
    const message = { role: 'assistant', content: null, refusal: 'I will not' };
    call.response.end(JSON.stringify({ id: 'c', choices: [{ index: 0, message, finish_reason: 'stop' }] }));
  };
  await openai.chat.completions.create(ask, { headers });
  const { messages } = (await (await core.fetch('/api/chats/s/messages')).json()) as { messages: object[] };
  t.match(messages, [
    {},
    {
      content: 'seven',
      reasoning_content: 'they want a number',
      annotations: [{ url_citation: { url: 'https://a.example' } }],
    },
    {},
    { content: null, refusal: 'I will not' },
  ]);
  core.model.behaviour = (call) => answerWith(call, 'ok');
  await openai.chat.completions.create(ask, { headers });
  t.match(core.model.calls.at(-1)?.body.messages, [
    {},
    { role: 'assistant', content: 'seven' },
    {},
    { role: 'assistant', content: 'I will not' },
    {},
  ]);
  t.notMatch(JSON.stringify(core.model.calls.at(-1)?.body.messages), /they want/);
});

t.test('web pages of the configured origins may call, others may not', async (t) => {
  const core = await startTestCore(t, { cors: { origins: ['https://app.example'], max_age: 600_000 } });
  const preflight = (origin: string) =>
    core.fetch('/v1/chat/completions', {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST' },
    });
  t.equal(
    (await preflight('https://app.example')).headers.get('access-control-allow-origin'),
    'https://app.example',
  );
  t.equal((await preflight('https://evil.example')).headers.get('access-control-allow-origin'), null);
  const plain = await startTestCore(t);
  t.equal(
    (await plain.fetch('/health', { headers: { origin: 'https://app.example' } })).headers.get('vary'),
    null,
  );
});
