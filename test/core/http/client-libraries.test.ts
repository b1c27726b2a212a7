import { createOpenAI } from '@ai-sdk/openai';
import { generateText, Output, stepCountIs, streamText, tool } from 'ai';
import OpenAI, { APIUserAbortError } from 'openai';
import { zodFunction, zodResponseFormat } from 'openai/helpers/zod';
import t from 'tap';
import * as z from 'zod';
import { startTestCore, type TestCore } from '../../support/core-service.ts';
import { answerWith, type ModelCall } from '../../support/model-server.ts';

const model = 'qwen2.5-coder-7b-instruct';
const openaiClient = ({ url }: TestCore) =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey: 'unused', maxRetries: 0 });
const aiSdk = ({ url }: TestCore) => createOpenAI({ baseURL: `${url}/v1`, apiKey: 'unused' }).chat(model);
const messages = [{ role: 'user' as const, content: 'hi' }];
const weather = z.object({ city: z.string() });

/** Calls the tool once, then answers with what it has said. */
function withTool(call: ModelCall): void {
  const result = call.body.messages.at(-1);
  if (result?.role === 'tool') {
    answerWith(call, `It is ${result.content}`);
    return;
  }
  const fn = { name: 'weather', arguments: '{"city":"Oslo"}' };
  if (call.body.stream) {
    call.chunk({
      role: 'assistant',
      tool_calls: [{ index: 0, id: 'call-1', type: 'function', function: fn }],
    });
    call.chunk({}, { finish_reason: 'tool_calls' });
    call.finish({ prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 });
    return;
  }
  call.response.setHeader('content-type', 'application/json');
  call.response.end(
    JSON.stringify({
      id: 'c',
      object: 'chat.completion',
      created: 1,
      model,
      choices: [
        {
          index: 0,
          message: {
            role: 'assistant',
            content: null,
            tool_calls: [{ id: 'call-1', type: 'function', function: fn }],
          },
          finish_reason: 'tool_calls',
        },
      ],
      usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
    }),
  );
}

t.test('openai: streaming helper', async (t) => {
  const core = await startTestCore(t);
  const stream = openaiClient(core).chat.completions.stream({ model, messages });
  let text = '';
  stream.on('content', (delta) => {
    text += delta;
  });
  t.equal(await stream.finalContent(), 'You said: hi');
  t.equal(text, 'You said: hi');
});

t.test('openai: tools, run by the client, streamed and not', async (t) => {
  const core = await startTestCore(t);
  core.model.behaviour = withTool;
  const cities: string[] = [];
  const tools = [
    zodFunction({
      name: 'weather',
      parameters: weather,
      function: ({ city }) => {
        cities.push(city);
        return 'raining';
      },
    }),
  ];
  const openai = openaiClient(core);
  t.equal(await openai.chat.completions.runTools({ model, messages, tools }).finalContent(), 'It is raining');
  const streamed = openai.chat.completions.runTools({ model, messages, tools, stream: true });
  t.equal(await streamed.finalContent(), 'It is raining');
  t.strictSame(cities, ['Oslo', 'Oslo']);
});

t.test('openai: structured output', async (t) => {
  const core = await startTestCore(t);
  core.model.behaviour = (call) => answerWith(call, '{"city": "Oslo"}');
  const { choices } = await openaiClient(core).chat.completions.parse({
    model,
    messages,
    response_format: zodResponseFormat(weather, 'place'),
  });
  t.strictSame(choices[0]?.message.parsed, { city: 'Oslo' });
  t.match(core.model.calls[0]?.body.response_format, { type: 'json_schema', json_schema: { name: 'place' } });
});

t.test('openai: abort', async (t) => {
  const core = await startTestCore(t);
  core.model.behaviour = (call) => call.chunk({ role: 'assistant', content: 'a long story' });
  const calling = core.model.nextCall();
  const client = new AbortController();
  const stream = openaiClient(core).chat.completions.stream({ model, messages }, { signal: client.signal });
  const call = await calling;
  stream.once('content', () => client.abort());
  t.ok((await stream.finalContent().catch((error: unknown) => error)) instanceof APIUserAbortError);
  await call.hungUp;
});

t.test('AI SDK: text, streamed and not, with usage', async (t) => {
  const core = await startTestCore(t);
  const whole = await generateText({ model: aiSdk(core), prompt: 'hi', maxRetries: 0 });
  t.equal(whole.text, 'You said: hi');
  t.equal(whole.usage.totalTokens, 15);
  const streamed = streamText({ model: aiSdk(core), prompt: 'hi', maxRetries: 0 });
  let text = '';
  for await (const part of streamed.textStream) text += part;
  t.equal(text, 'You said: hi');
  t.equal((await streamed.usage).totalTokens, 15);
});

t.test('AI SDK: tools, streamed and not', async (t) => {
  const core = await startTestCore(t);
  core.model.behaviour = withTool;
  const tools = {
    weather: tool({
      description: 'Weather',
      inputSchema: weather,
      execute: async ({ city }) => `dry in ${city}`,
    }),
  };
  const asked = { model: aiSdk(core), prompt: 'hi', tools, stopWhen: stepCountIs(3), maxRetries: 0 };
  t.equal((await generateText(asked)).text, 'It is dry in Oslo');
  const streamed = streamText(asked);
  let text = '';
  for await (const part of streamed.textStream) text += part;
  t.equal(text, 'It is dry in Oslo');
});

t.test('AI SDK: structured output', async (t) => {
  const core = await startTestCore(t);
  core.model.behaviour = (call) => answerWith(call, '{"city": "Oslo"}');
  const { output } = await generateText({
    model: aiSdk(core),
    prompt: 'where?',
    output: Output.object({ schema: weather }),
    maxRetries: 0,
  });
  t.strictSame(output, { city: 'Oslo' });
});

t.test('AI SDK: abort', async (t) => {
  const core = await startTestCore(t);
  core.model.behaviour = (call) => call.chunk({ role: 'assistant', content: 'a long story' });
  const calling = core.model.nextCall();
  const client = new AbortController();
  const streamed = streamText({
    model: aiSdk(core),
    prompt: 'hi',
    abortSignal: client.signal,
    maxRetries: 0,
  });
  const reading = (async () => {
    for await (const _ of streamed.textStream) client.abort();
  })();
  const call = await calling;
  await Promise.allSettled([reading]);
  await call.hungUp;
  t.pass('the model was told');
});

t.test('AI SDK: an error of the core is one of the API', async (t) => {
  const core = await startTestCore(t);
  await t.rejects(generateText({ model: aiSdk(core), prompt: 'x'.repeat(60_000), maxRetries: 0 }), {
    statusCode: 400,
    message: /shorten it/,
  });
});
