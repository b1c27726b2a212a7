import t from 'tap';
import { startTestCore, type TestCore } from '../../support/core-service.ts';
import { answerWith, type ModelCall } from '../../support/model-server.ts';

/** Longer than any of these tests takes. */
const longGrace = {
  timeouts: { hang_up: 60_000, turn: 120_000, idle: 60_000, response: 60_000, database: 30_000 },
};

const open = (core: TestCore, signal?: AbortSignal, session = 's') =>
  core.fetch('/v1/chat/completions', {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-session-id': session },
    body: JSON.stringify({ stream: true, messages: [{ role: 'user', content: 'tell' }] }),
    ...(signal && { signal }),
  });
const resume = (core: TestCore, lastEventId?: string) =>
  core.fetch('/api/chats/s/stream', {
    headers: lastEventId === undefined ? {} : { 'last-event-id': lastEventId },
  });

interface Seen {
  readonly ids: string[];
  readonly text: string;
  readonly done: boolean;
}

function parse(stream: string): Seen {
  const ids = [...stream.matchAll(/^id: (.*)$/gm)].map(([, id]) => id as string);
  const data = [...stream.matchAll(/^data: (\{.*\})$/gm)].map(([, json]) => JSON.parse(json as string));
  const text = data.map(({ choices }) => choices?.[0]?.delta?.content ?? '').join('');
  return { ids, text, done: stream.endsWith('data: [DONE]\n\n') };
}

/** Reads until a number of events was seen, then hangs up. */
async function readSome(core: TestCore, call: Promise<ModelCall>, words: string[]): Promise<Seen> {
  const client = new AbortController();
  const response = await open(core, client.signal);
  const { chunk } = await call;
  for (const word of words) chunk({ content: word });
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let stream = '';
  while (parse(stream).ids.length < words.length) stream += (await reader.read()).value ?? '';
  client.abort();
  return parse(stream);
}

t.test(
  'a client that lost its connection goes on from the last event, as if nothing had happened',
  async (t) => {
    const core = await startTestCore(t, longGrace);
    core.model.behaviour = (call) => call.chunk({ role: 'assistant', content: '' });
    const calling = core.model.nextCall();
    const before = await readSome(core, calling, ['one ', 'two ']);
    const call = await calling;
    const again = await resume(core, before.ids.at(-1));
    t.equal(again.status, 200);
    call.chunk({ content: 'three' });
    call.finish();
    const after = parse(await again.text());
    t.equal(before.text + after.text, 'one two three');
    t.ok(after.done);
    t.match(await (await core.fetch('/api/chats/s/messages')).json(), {
      messages: [{}, { content: 'one two three', state: 'complete' }],
    });

    const late = parse(await (await resume(core, before.ids[1])).text());
    t.equal(late.text, 'two three', 'also after the turn is over');
    t.equal((await resume(core)).status, 404, 'without an event id only what runs is found');
    t.equal((await resume(core, 'nonsense')).status, 400);
    t.equal((await resume(core, 'another-turn:1:1')).status, 404);
  },
);

t.test('several clients follow one turn', async (t) => {
  const core = await startTestCore(t, longGrace);
  core.model.behaviour = (call) => call.chunk({ content: 'one ' });
  const calling = core.model.nextCall();
  const first = await open(core);
  const call = await calling;
  const second = await resume(core);
  call.chunk({ content: 'two' });
  call.finish();
  for (const response of [first, second])
    t.match(parse(await response.text()), { text: 'one two', done: true });
});

t.test('what is left of a turn that nothing but the database remembers comes in one piece', async (t) => {
  const core = await startTestCore(t);
  const response = await open(core);
  const seen = parse(await response.text());
  const [turn] = seen.ids[0]!.split(':');
  // Another core service, which has not run the turn.
  const other = await startTestCore(t, { sqlite: core.sqlite });
  const rest = parse(await (await resume(other, `${turn}:2:4`)).text());
  t.equal(rest.text, 'You said: tell'.slice(4));
  t.ok(rest.done);
});

t.test('stopping is a request of its own: the stream ends, and what was said is kept', async (t) => {
  const core = await startTestCore(t, longGrace);
  core.model.behaviour = (call) => call.chunk({ content: 'a long ' });
  const calling = core.model.nextCall();
  const response = await open(core);
  const call = await calling;
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let stream = (await reader.read()).value ?? '';
  t.match(await (await core.fetch('/api/chats/s/stop', { method: 'POST' })).json(), { stopped: true });
  await call.hungUp;
  for (let next = await reader.read(); !next.done; next = await reader.read()) stream += next.value;
  t.match(parse(stream), { text: 'a long ', done: true });
  t.match(stream, /"finish_reason":"stop"/);
  t.match(await (await core.fetch('/api/chats/s/messages')).json(), {
    messages: [{ content: 'tell' }, { content: 'a long ', state: 'interrupted' }],
  });
  t.match(await (await core.fetch('/api/chats/s/stop', { method: 'POST' })).json(), { stopped: false });
});

t.test('a turn that is not streamed can be stopped, too', async (t) => {
  const core = await startTestCore(t, longGrace);
  core.model.behaviour = () => {};
  const calling = core.model.nextCall();
  const saying = core.say('s', 'tell');
  await calling;
  await core.fetch('/api/chats/s/stop', { method: 'POST' });
  const response = await saying;
  t.equal(response.status, 409);
  t.match(await response.json(), { error: { code: 'turn_stopped' } });
});

t.test('another caller neither follows nor stops a turn', async (t) => {
  const core = await startTestCore(t, longGrace);
  core.model.behaviour = (call) => call.chunk({ content: 'secret' });
  const calling = core.model.nextCall();
  const response = await core.fetch('/v1/chat/completions', {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-session-id': 's', 'x-service-id': 'frontend' },
    body: JSON.stringify({ stream: true, messages: [{ role: 'user', content: 'tell' }] }),
  });
  const call = await calling;
  const headers = { 'x-service-id': 'npu-worker' };
  t.equal((await core.fetch('/api/chats/s/stream', { headers })).status, 404);
  t.match(await (await core.fetch('/api/chats/s/stop', { method: 'POST', headers })).json(), {
    stopped: false,
  });
  call.finish();
  t.match(await response.text(), /\[DONE\]/);
});

t.test('nobody came back within the grace time: the model is told, and what was said is kept', async (t) => {
  const core = await startTestCore(t, { timeouts: { hang_up: 300 } });
  core.model.behaviour = (call) => call.chunk({ content: '' });
  const calling = core.model.nextCall();
  const started = performance.now();
  await readSome(core, calling, ['one ']);
  t.ok((await (await calling).hungUp) - started >= 300);
  core.model.behaviour = (call) => answerWith(call, 'ok');
  await core.say('s', 'next');
  t.match(await (await core.fetch('/api/chats/s/messages')).json(), {
    messages: [{}, { content: 'one ', state: 'interrupted' }, {}, {}],
  });
});

t.test(
  'another core service on the same database follows the turn, and the first goes on from there',
  async (t) => {
    const first = await startTestCore(t, longGrace);
    const second = await startTestCore(t, { ...longGrace, sqlite: first.sqlite });
    first.model.behaviour = (call) => call.chunk({ role: 'assistant', content: '' });
    const calling = first.model.nextCall();
    const before = await readSome(first, calling, ['one ', 'two ']);
    const call = await calling;

    const all = await resume(second);
    t.equal(all.status, 200);
    const rest = await resume(second, before.ids.at(-1));
    t.equal(rest.status, 200);
    // Hangs up once it has seen what there is.
    const brief = new AbortController();
    const part = await second.fetch('/api/chats/s/stream', { signal: brief.signal });
    const reader = part.body!.pipeThrough(new TextDecoderStream()).getReader();
    let read = '';
    while (parse(read).text !== 'one two ') read += (await reader.read()).value ?? '';
    brief.abort();
    const back = await resume(first, parse(read).ids.at(-1));

    call.chunk({ content: 'three' });
    call.finish();
    t.match(parse(await all.text()), { text: 'one two three', done: true });
    t.match(parse(await rest.text()), { text: 'three', done: true });
    t.match(parse(await back.text()), { text: 'three', done: true });
    t.equal((await resume(second)).status, 404, 'no turn runs any more');
  },
);

t.test(
  'a turn of another core service that ends before anything of it was noted is followed whole',
  async (t) => {
    const first = await startTestCore(t, longGrace);
    const second = await startTestCore(t, { ...longGrace, sqlite: first.sqlite });
    first.model.behaviour = () => {};
    const calling = first.model.nextCall();
    const asked = first.fetch('/v1/chat/completions', {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-session-id': 's' },
      body: JSON.stringify({ stream: true, messages: [{ role: 'user', content: 'count' }] }),
    });
    const call = await calling;
    const following = await resume(second);
    t.equal(following.status, 200);
    call.chunk({ content: 'one two' });
    call.finish();
    await (await asked).text();
    t.match(parse(await following.text()), { text: 'one two', done: true });
  },
);
