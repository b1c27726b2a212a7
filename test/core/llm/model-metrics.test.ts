import { Registry } from 'prom-client';
import t from 'tap';
import { ModelMetrics, mostCallers } from '../../../core/llm/model-metrics.ts';
import { startTestCore, type TestCore } from '../../support/core-service.ts';
import { answerWith } from '../../support/model-server.ts';

const model = 'qwen2.5-coder-7b-instruct';
const ask = (core: TestCore, more: object = {}, headers: Record<string, string> = {}) =>
  core.fetch('/v1/chat/completions', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'hi' }], ...more }),
  });
const metrics = async (core: TestCore) => (await (await core.fetch('/metrics')).text()).split('\n');
const of = `gen_ai_operation_name="chat",gen_ai_provider_name="ai-stack",gen_ai_request_model="${model}"`;

t.test('a turn is in flight until it ends, and its first token, duration and tokens are timed', async (t) => {
  const core = await startTestCore(t);
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  core.model.behaviour = async (call) => {
    call.chunk({ content: 'one' });
    await held;
    call.finish({ prompt_tokens: 12, completion_tokens: 3 });
  };
  const response = await ask(core, { stream: true }, { 'x-service-id': 'main-backend' });
  const reader = response.body!.getReader();
  await reader.read();
  const meanwhile = await metrics(core);
  t.ok(meanwhile.includes('countersign_core_turns_in_flight 1'));
  t.ok(meanwhile.includes(`gen_ai_client_operation_time_to_first_chunk_seconds_count{${of}} 1`));
  release();
  while (!(await reader.read()).done);
  const lines = await metrics(core);
  for (const line of [
    'countersign_core_turns_in_flight 0',
    `gen_ai_client_operation_duration_seconds_count{${of},error_type=""} 1`,
    `gen_ai_client_token_usage_sum{${of},gen_ai_token_type="input"} 12`,
    `gen_ai_client_token_usage_sum{${of},gen_ai_token_type="output"} 3`,
    `countersign_core_tokens_total{caller="main-backend",model="${model}",type="input"} 12`,
    `countersign_core_tokens_total{caller="main-backend",model="${model}",type="output"} 3`,
    `countersign_core_model_cooling{model="${model}"} 0`,
  ])
    t.ok(lines.includes(line), line);
});

t.test('a call that fails names its error, and is in flight no more', async (t) => {
  const core = await startTestCore(t);
  core.model.behaviour = ({ response }) => {
    response.writeHead(400, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ error: { message: 'no', type: 'invalid_request_error' } }));
  };
  for (const stream of [false, true]) t.equal((await ask(core, { stream })).status, 400);
  const lines = await metrics(core);
  t.ok(
    lines.includes(`gen_ai_client_operation_duration_seconds_count{${of},error_type="model-refusal"} 2`),
    lines.filter((line) => line.includes('operation_duration_seconds_count')).join(),
  );
  t.ok(lines.includes('countersign_core_turns_in_flight 0'));
});

t.test('attack: made-up models, callers, methods and paths make no more than a few series', async (t) => {
  const core = await startTestCore(t);
  core.model.behaviour = (call) => answerWith(call, 'ok');
  const before = (await metrics(core)).length;
  for (let i = 0; i < 30; i++) {
    await (await ask(core, { model: `made-up-${i}` }, { 'x-service-id': `Made Up ${i}` })).text();
    await (await core.fetch(`/made-up/${i}?made-up=${i}`, { method: i % 2 === 0 ? 'GET' : 'DELETE' })).text();
    await (await core.fetch(`/api/chats/made-up-${i}/messages`)).text();
  }
  const lines = await metrics(core);
  t.same(
    lines.filter((line) => /made.up/i.test(line)),
    [],
  );
  t.ok(lines.length < before + 250, `${lines.length - before} new lines`);
});

t.test('callers past a bound are counted together', async (t) => {
  const registry = new Registry();
  const counted = new ModelMetrics({}, 'ai-stack', registry);
  for (let i = 0; i < 1000; i++)
    counted.spent('any', `service-${i}`, { prompt_tokens: 1, completion_tokens: 1 });
  const lines = (await registry.metrics())
    .split('\n')
    .filter((line) => line.startsWith('countersign_core_tokens'));
  t.equal(lines.length, 2 * (mostCallers + 1));
  t.ok(
    lines.includes(
      `countersign_core_tokens_total{caller="other",model="other",type="input"} ${1000 - mostCallers}`,
    ),
  );
});

t.test('what a model reports is no number at times: that is not counted', async (t) => {
  const registry = new Registry();
  const counted = new ModelMetrics({}, 'ai-stack', registry);
  for (const prompt_tokens of ['12', -1, Number.NaN, null, Number.POSITIVE_INFINITY])
    counted.spent('any', 'one', { prompt_tokens });
  counted.spent('any', 'one', null);
  t.notMatch(await registry.metrics(), /countersign_core_tokens_total\{/);
});
