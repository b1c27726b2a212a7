import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import t from 'tap';
import { startTestCore } from '../../support/core-service.ts';
import { freePort } from '../../support/redis-server.ts';

const body = JSON.stringify({ messages: [{ role: 'user', content: 'hi' }] });
const streamed = JSON.stringify({ stream: true, messages: [{ role: 'user', content: 'hi' }] });
const post = (text: string) => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: text,
});

t.test('no outbound listener: an error at once that says what to start', async (t) => {
  const core = await startTestCore(t, { outboundPort: await freePort() });
  for (const request of [body, streamed]) {
    const response = await core.fetch('/v1/chat/completions', post(request));
    t.equal(response.status, 502);
    t.match(await response.json(), {
      error: { code: 'model_unavailable', type: 'server_error', message: /start the sidecar/ },
    });
  }
});

t.test('a model that accepts and says nothing: an error within the configured time', async (t) => {
  const core = await startTestCore(t, { timeouts: { response: 300 } });
  core.model.behaviour = () => {};
  const response = await core.fetch('/v1/chat/completions', post(body));
  t.equal(response.status, 504);
  t.match(await response.json(), {
    error: { code: 'model_timeout', message: /did not answer within the configured time/ },
  });
});

t.test('a model that falls silent half-way: an error in the stream within the configured time', async (t) => {
  const core = await startTestCore(t, { timeouts: { idle: 300 } });
  core.model.behaviour = (call) => call.chunk({ content: 'and then' });
  const response = await core.fetch('/v1/chat/completions', post(streamed));
  t.equal(response.status, 200);
  const text = await response.text();
  t.match(text, /and then/);
  t.match(text, /"code":"model_timeout"/);
  t.notMatch(text, /\[DONE\]/);
});

t.test('a model that breaks off half-way: an error in the stream, and what it said is kept', async (t) => {
  const core = await startTestCore(t);
  core.model.behaviour = (call) => call.chunk({ content: 'and then' });
  const called = core.model.nextCall();
  const response = await core.fetch('/v1/chat/completions', {
    ...post(streamed),
    headers: { 'content-type': 'application/json', 'x-session-id': 's' },
  });
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  t.match((await reader.read()).value, /and then/);
  (await called).response.destroy();
  t.match((await reader.read()).value, /"code":"model_interrupted"/);
  t.equal((await reader.read()).done, true);
  t.match(await (await core.fetch('/api/chats/s/messages')).json(), {
    messages: [{ content: 'hi' }, { content: 'and then', state: 'interrupted' }],
  });
});

t.test('a model that never ends is ended when the turn has had its time', async (t) => {
  const core = await startTestCore(t, { timeouts: { turn: 400 } });
  core.model.behaviour = (call) => {
    const timer = setInterval(() => call.chunk({ content: 'and ' }), 20);
    call.response.once('close', () => clearInterval(timer));
  };
  const response = await core.fetch('/v1/chat/completions', post(streamed));
  t.match(await response.text(), /"code":"model_timeout","?|the turn took longer than 400 ms/);
});

t.test('a refusal of a sidecar on the way names its reason', async (t) => {
  const core = await startTestCore(t);
  core.model.behaviour = (call) => {
    call.response.writeHead(403, { 'content-type': 'application/problem+json' });
    call.response.end(
      JSON.stringify({ title: 'No rule', reason: 'not-authorized', detail: 'no rule allows it' }),
    );
  };
  const response = await core.fetch('/v1/chat/completions', post(body));
  t.equal(response.status, 502, 'it is no fault of the client');
  t.match(await response.json(), {
    error: { code: 'model_refused', message: /not-authorized: no rule allows it/ },
  });
});

t.test('an answer that is no chat completion is an error, and the session stays as it was', async (t) => {
  const core = await startTestCore(t);
  for (const answer of ['<html>', '{}', '{"choices":[]}', 'null']) {
    core.model.behaviour = (call) => void call.response.end(answer);
    const response = await core.say('s', 'hi');
    t.equal(response.status, 502, answer);
    t.match(await response.json(), { error: { code: 'model_interrupted' } });
  }
  t.equal((await core.fetch('/api/chats/s')).status, 404);
});

t.test('a kept connection that was closed meanwhile costs nobody an answer', async (t) => {
  // A sidecar that closes each connection, without a word, on the second request that comes on it.
  let connections = 0;
  const relay = createServer((socket) => {
    connections++;
    let requests = 0;
    socket.on('error', () => undefined);
    socket.on('data', (data) => {
      requests += data.toString().startsWith('POST') ? 1 : 0;
      if (requests > 1) return socket.destroy();
      const answer = JSON.stringify({
        choices: [{ index: 0, message: { role: 'assistant', content: 'ok' } }],
      });
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${answer.length}\r\n\r\n${answer}`);
    });
  }).listen(0, '127.0.0.1');
  t.teardown(() => void relay.close());
  await new Promise((resolve) => relay.once('listening', resolve));
  const core = await startTestCore(t, { outboundPort: (relay.address() as AddressInfo).port });
  for (let i = 0; i < 3; i++) t.equal((await core.fetch('/v1/chat/completions', post(body))).status, 200);
  t.ok(connections >= 2);
});
