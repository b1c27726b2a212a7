import OpenAI, { APIError } from 'openai';
import t from 'tap';
import { startTestCore, type TestCore } from '../../support/core-service.ts';
import { answerWith, echo } from '../../support/model-server.ts';

function client({ url }: TestCore, headers: Record<string, string> = {}): OpenAI {
  return new OpenAI({ baseURL: `${url}/v1`, apiKey: 'unused', maxRetries: 0, defaultHeaders: headers });
}

const hi = [{ role: 'user' as const, content: 'hi' }];

t.test('the openai client completes, streams and lists models', async (t) => {
  const core = await startTestCore(t);
  const openai = client(core);
  const completion = await openai.chat.completions.create({ model: 'phi-3-mini-4k-instruct', messages: hi });
  t.equal(completion.choices[0]?.message.content, 'You said: hi');
  t.equal(completion.usage?.total_tokens, 15);

  const stream = await openai.chat.completions.create({
    model: 'phi-3-mini-4k-instruct',
    messages: hi,
    stream: true,
    stream_options: { include_usage: true },
  });
  let text = '';
  let usage: unknown;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? '';
    usage = chunk.usage ?? usage;
  }
  t.equal(text, 'You said: hi');
  t.match(usage, { total_tokens: 15 });

  const names: string[] = [];
  for await (const model of openai.models.list()) names.push(model.id);
  t.strictSame(names.slice(0, 2), ['qwen2.5-coder-7b-instruct', 'qwen2.5-coder-14b-instruct']);
  t.equal((await openai.models.retrieve('phi-3-mini-4k-instruct')).id, 'phi-3-mini-4k-instruct');
  await t.rejects(openai.models.retrieve('nothing'), { status: 404, code: 'not_found' });
});

t.test('the model is reached through the outbound listener by the name of its service', async (t) => {
  const core = await startTestCore(t);
  await client(core).chat.completions.create({
    model: 'phi-3-mini-4k-instruct',
    messages: hi,
    temperature: 0.5,
    max_completion_tokens: 100,
    metadata: { session_id: 'a' },
  });
  const [call] = core.model.calls;
  t.equal(call?.headers.host, 'ai-stack');
  t.match(call?.body, { temperature: 0.5, max_completion_tokens: 100, model: 'phi-3-mini-4k-instruct' });
  t.notOk('max_tokens' in (call?.body ?? {}), 'the limit keeps the name that the client gave it');
  t.notOk('metadata' in (call?.body ?? {}), 'what names the session is not for the model');
});

t.test('usage is shown to those who ask for it only, and asked of the model always', async (t) => {
  const core = await startTestCore(t);
  const stream = await client(core).chat.completions.create({ model: 'm', messages: hi, stream: true });
  for await (const chunk of stream) t.notOk(chunk.usage);
  t.match(core.model.calls[0]?.body, { stream_options: { include_usage: true } });
});

t.test('a session remembers, by header and by metadata, and the system prompt too', async (t) => {
  const core = await startTestCore(t);
  const openai = client(core);
  await openai.chat.completions.create(
    {
      model: 'm',
      messages: [
        { role: 'system', content: 'be brief' },
        { role: 'user', content: 'one' },
      ],
    },
    { headers: { 'x-session-id': 's' } },
  );
  await openai.chat.completions.create({
    model: 'm',
    messages: [{ role: 'user', content: 'two' }],
    metadata: { session_id: 's' },
  });
  t.strictSame(core.model.calls[1]?.body.messages, [
    { role: 'system', content: 'be brief' },
    { role: 'user', content: 'one' },
    { role: 'assistant', content: 'You said: one' },
    { role: 'user', content: 'two' },
  ]);
});

t.test('a client that sends the whole transcript to a session is not heard twice', async (t) => {
  const core = await startTestCore(t);
  const openai = client(core, { 'x-session-id': 's' });
  const transcript: OpenAI.ChatCompletionMessageParam[] = [];
  for (const content of ['one', 'two', 'three']) {
    transcript.push({ role: 'user', content });
    const { choices } = await openai.chat.completions.create({ model: 'm', messages: transcript });
    transcript.push({ role: 'assistant', content: choices[0]?.message.content ?? '' });
  }
  t.strictSame(core.model.calls.at(-1)?.body.messages, transcript.slice(0, -1));
  const { messages } = (await (await core.fetch('/api/chats/s/messages')).json()) as { messages: unknown[] };
  t.equal(messages.length, 6);
});

t.test('without a session nothing is kept', async (t) => {
  const core = await startTestCore(t);
  await client(core).chat.completions.create({ model: 'm', messages: hi });
  t.match(await (await core.fetch('/api/chats')).json(), { chats: [] });
});

t.test('tool calls are put together from a stream, kept, and sent back with their results', async (t) => {
  const core = await startTestCore(t);
  const openai = client(core, { 'x-session-id': 's' });
  core.model.behaviour = (call) => {
    const part = (fn: object, id?: string) => ({
      tool_calls: [{ index: 0, ...(id && { id, type: 'function' }), function: fn }],
    });
    call.chunk(part({ name: 'weather', arguments: '' }, 'call-1'));
    call.chunk(part({ arguments: '{"city":' }));
    call.chunk(part({ arguments: '"Oslo"}' }), { finish_reason: 'tool_calls' });
    call.finish();
  };
  const stream = await openai.chat.completions.create({ model: 'm', messages: hi, stream: true });
  for await (const _ of stream);
  core.model.behaviour = echo;
  await openai.chat.completions.create({
    model: 'm',
    messages: [{ role: 'tool', tool_call_id: 'call-1', content: 'rain' }],
  });
  t.match(core.model.calls.at(-1)?.body.messages, [
    { role: 'user' },
    {
      role: 'assistant',
      tool_calls: [{ id: 'call-1', function: { name: 'weather', arguments: '{"city":"Oslo"}' } }],
    },
    { role: 'tool', tool_call_id: 'call-1', content: 'rain' },
  ]);
});

t.test('errors have the shape that OpenAI clients know', async (t) => {
  const core = await startTestCore(t);
  const openai = client(core);
  const failing = async (work: Promise<unknown>, expected: object) => {
    const error = await work.then(
      () => t.fail('expected an error'),
      (thrown) => thrown,
    );
    t.ok(error instanceof APIError);
    t.match(error, expected);
  };
  await failing(openai.chat.completions.create({ model: 'm', messages: [] }), {
    status: 400,
    code: 'invalid_request',
    param: 'messages',
  });
  await failing(
    openai.chat.completions.create({ model: 'm', messages: [{ role: 'user', content: 'x'.repeat(50_000) }] }),
    {
      status: 400,
      code: 'context_length_exceeded',
      type: 'invalid_request_error',
    },
  );
  await failing(
    openai.chat.completions.create({
      model: 'm',
      messages: [{ role: 'user', content: 'x'.repeat(5_000_000) }],
    }),
    {
      status: 413,
      code: 'body_too_large',
    },
  );
  await failing(
    openai.chat.completions.create({ model: 'm', messages: hi }, { headers: { 'x-session-id': '../etc' } }),
    {
      status: 400,
      param: 'X-Session-ID',
    },
  );
  await failing(
    openai.chat.completions.create(
      { model: 'm', messages: hi, metadata: { session_id: 'a' } },
      { headers: { 'x-session-id': 'b' } },
    ),
    { status: 400, message: /name different sessions/ },
  );
  await failing(
    openai.chat.completions.create({ model: 'm', messages: hi, n: 2 }, { headers: { 'x-session-id': 'b' } }),
    { status: 400, param: 'n' },
  );
  core.model.behaviour = (call) => {
    call.response.writeHead(404, { 'content-type': 'application/json' });
    call.response.end(
      JSON.stringify({
        error: {
          message: 'no model m',
          type: 'invalid_request_error',
          param: 'model',
          code: 'model_not_found',
        },
      }),
    );
  };
  await failing(openai.chat.completions.create({ model: 'm', messages: hi }), {
    status: 404,
    code: 'model_not_found',
    param: 'model',
  });
});

t.test('an answer that the model breaks off is an error to the client, never a silent end', async (t) => {
  const core = await startTestCore(t);
  core.model.behaviour = (call) => {
    call.chunk({ content: 'half an ' });
    call.chunk({ content: 'answer' });
    call.response.end();
  };
  const stream = await client(core).chat.completions.create({ model: 'm', messages: hi, stream: true });
  let text = '';
  await t.rejects(
    async () => {
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
    },
    { code: 'model_interrupted' },
  );
  t.equal(text, 'half an answer');
});

t.test('an unknown model is planned with the default, with one warning', async (t) => {
  const core = await startTestCore(t);
  for (let i = 0; i < 3; i++)
    await client(core).chat.completions.create({ model: 'brand-new', messages: hi });
  const warnings = core.logLines.filter(({ model }) => model === 'brand-new');
  t.match(warnings, [{ level: 40, default: 'qwen2.5-coder-7b-instruct' }]);
  t.match(core.model.calls[0]?.body, { model: 'brand-new', max_tokens: 2048 });
});

t.test('the same Idempotency-Key gets the same answer, asked and kept once', async (t) => {
  const core = await startTestCore(t);
  let answers = 0;
  core.model.behaviour = (call) => answerWith(call, `answer ${++answers}`);
  const headers = { 'x-session-id': 's', 'idempotency-key': 'k1' };
  const openai = client(core, headers);
  const first = await openai.chat.completions.create({ model: 'm', messages: hi });
  const again = await openai.chat.completions.create({ model: 'm', messages: hi });
  t.equal(again.choices[0]?.message.content, first.choices[0]?.message.content);
  const stream = await openai.chat.completions.create({ model: 'm', messages: hi, stream: true });
  let text = '';
  for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
  t.equal(text, 'answer 1');
  t.equal(core.model.calls.length, 1);
  await t.rejects(
    openai.chat.completions.create({ model: 'm', messages: [{ role: 'user', content: 'else' }] }),
    {
      status: 409,
      code: 'idempotency_key_reused',
    },
  );
  t.match(await (await core.fetch('/api/chats/s')).json(), { message_count: 2 });
});
