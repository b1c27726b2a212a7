import t from 'tap';
import { loadLlmModels } from '../../../core/config/llm-models.ts';
import { modelsFile, startTestCore, type TestCore } from '../../support/core-service.ts';
import { answerWith, type ModelCall } from '../../support/model-server.ts';

const first = 'qwen2.5-coder-7b-instruct';
const second = 'llama-3.2-3b-instruct';
const loaded = await loadLlmModels(modelsFile);
const models = {
  ...loaded,
  models: { ...loaded.models, [first]: { ...loaded.models[first]!, fallbacks: [second] } },
};

const ask = (core: TestCore, more: object = {}, headers: Record<string, string> = {}) =>
  core.fetch('/v1/chat/completions', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ model: first, messages: [{ role: 'user', content: 'hi' }], ...more }),
  });
const refuse = (call: ModelCall, status: number, headers: Record<string, string> = {}) => {
  call.response.writeHead(status, { 'content-type': 'application/json', ...headers });
  call.response.end(JSON.stringify({ error: { message: `status ${status}`, type: 'server_error' } }));
};
const asked = (core: TestCore) => core.model.calls.map(({ body }) => body.model);

for (const status of [429, 500, 503]) {
  t.test(`a ${status} before the first byte is retried, and the client sees an answer`, async (t) => {
    const core = await startTestCore(t);
    core.model.behaviour = (call) =>
      core.model.calls.length === 1 ? refuse(call, status) : answerWith(call, 'ok');
    for (const stream of [false, true]) {
      core.model.calls.length = 0;
      const response = await ask(core, { stream });
      t.equal(response.status, 200);
      t.match(await response.text(), /ok/);
      t.equal(core.model.calls.length, 2);
    }
    t.match(await (await core.fetch('/metrics')).text(), /model_retries_total\{model="qwen[^"]*"\} 2/);
  });
}

t.test('no retry without end: after two the failure is told', async (t) => {
  const core = await startTestCore(t);
  core.model.behaviour = (call) => refuse(call, 503);
  const response = await ask(core);
  t.equal(response.status, 502);
  t.match(await response.json(), { error: { code: 'model_unavailable' } });
  t.equal(core.model.calls.length, 3);
});

t.test(
  'retries have a budget: a model that stays overloaded is not loaded three times as much',
  async (t) => {
    const core = await startTestCore(t);
    core.model.behaviour = (call) => refuse(call, 429, { 'retry-after': '0' });
    for (let call = 0; call < 30; call++) t.equal((await ask(core)).status, 429);
    t.ok(core.model.calls.length <= 30 + 10 + 30 * 0.2, `${core.model.calls.length} calls for 30 requests`);
  },
);

t.test('a 400 of the model is neither retried nor answered by a fallback', async (t) => {
  const core = await startTestCore(t, { models });
  core.model.behaviour = (call) => refuse(call, 400);
  t.equal((await ask(core)).status, 400);
  t.strictSame(asked(core), [first]);
});

t.test(
  'a fallback answers while a model fails; a failing model cools down and /health says so',
  async (t) => {
    const core = await startTestCore(t, { models });
    core.model.behaviour = (call) =>
      call.body.model === first ? refuse(call, 503) : answerWith(call, 'from the fallback');
    const response = await ask(core, {}, { 'x-session-id': 's' });
    t.match(await response.json(), {
      model: second,
      choices: [{ message: { content: 'from the fallback' } }],
    });
    t.strictSame(asked(core), [first, first, first, second]);
    t.match(await (await core.fetch('/api/chats/s/messages?order=desc')).json(), {
      messages: [{ role: 'assistant', model: second }],
    });

    core.model.calls.length = 0;
    t.equal((await ask(core)).status, 200);
    t.strictSame(asked(core), [second], 'three failures in a row: nobody asks it now');
    t.match(await (await core.fetch('/health')).json(), {
      status: 'degraded',
      parts: {
        models: { models: { [first]: { status: 'degraded', reason: /503/ }, [second]: { status: 'ok' } } },
      },
    });
    t.match(
      await (await core.fetch('/metrics')).text(),
      /model_cooling\{model="qwen2\.5-coder-7b-instruct"\} 1/,
    );
  },
);

t.test('a model that asks for a long pause cools down at once', async (t) => {
  const core = await startTestCore(t, { models });
  core.model.behaviour = (call) =>
    call.body.model === first ? refuse(call, 429, { 'retry-after': '60' }) : answerWith(call, 'ok');
  t.equal((await ask(core)).status, 200);
  t.equal((await ask(core)).status, 200);
  t.strictSame(asked(core), [first, second, second]);
});
