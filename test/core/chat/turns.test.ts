import t from 'tap';
import { startTestCore, type TestCore } from '../../support/core-service.ts';
import { answerWith, lastText } from '../../support/model-server.ts';

/** What is promised of a hang-up; it holds for the fastest of several tries, since other work on the machine delays any one. */
const tellModelWithinMs = 100;
const tries = 5;

const streamOf = (core: TestCore, session: string | undefined, content: string, signal?: AbortSignal) =>
  core.fetch('/v1/chat/completions', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(session && { 'x-session-id': session }) },
    body: JSON.stringify({ stream: true, messages: [{ role: 'user', content }] }),
    ...(signal && { signal }),
  });

async function contents(core: TestCore, session: string): Promise<string[]> {
  const { messages } = (await (await core.fetch(`/api/chats/${session}/messages`)).json()) as {
    messages: { content: string; state: string }[];
  };
  return messages.map(({ content, state }) => (state === 'complete' ? content : `${content} (${state})`));
}

t.test('two turns at once in one session: one after the other, each knows the one before', async (t) => {
  const core = await startTestCore(t);
  const firstCall = core.model.nextCall();
  core.model.behaviour = () => {};
  const first = core.say('s', 'first');
  const held = await firstCall;
  core.model.behaviour = (call) => answerWith(call, `re ${lastText(call)}`);
  const second = core.say('s', 'second');
  const third = core.say('s', 'third');
  t.equal((await core.say('other', 'x')).status, 200, 'another session does not wait');
  t.equal(core.model.calls.length, 2, 'the second and third turns do');
  answerWith(held, 're first');
  await Promise.all([first, second, third]);
  // Over connections of their own, either of the two may have come first.
  const [one, two] = core.model.calls.slice(2).map(lastText);
  t.strictSame([one, two].sort(), ['second', 'third']);
  t.strictSame(await contents(core, 's'), ['first', 're first', one, `re ${one}`, two, `re ${two}`]);
  t.strictSame(
    core.model.calls.slice(2).map((call) => call.body.messages.length),
    [3, 5],
  );
});

t.test('a client that hangs up ends the call to the model at once, and what was said is kept', async (t) => {
  const core = await startTestCore(t);
  core.model.behaviour = (call) => call.chunk({ content: 'a long story' });
  for (const sessions of [['s', 's2', 's3', 's4', 's5'], Array<undefined>(tries).fill(undefined)]) {
    const took: number[] = [];
    for (const session of sessions) {
      const calling = core.model.nextCall();
      const client = new AbortController();
      const response = await streamOf(core, session, 'tell', client.signal);
      const call = await calling;
      await response.body!.getReader().read();
      const at = performance.now();
      client.abort();
      took.push((await call.hungUp) - at);
    }
    t.ok(Math.min(...took) < tellModelWithinMs, `the model was told after ${took.map(Math.round)} ms`);
  }
  core.model.behaviour = (call) => answerWith(call, 'ok');
  await core.say('s', 'next');
  t.strictSame(await contents(core, 's'), ['tell', 'a long story (interrupted)', 'next', 'ok']);
});

t.test(
  'a client that hangs up before the model begins ends the call, and the turn never happened',
  async (t) => {
    const core = await startTestCore(t);
    const took: number[] = [];
    core.model.behaviour = () => {};
    for (let attempt = 0; attempt < tries; attempt++) {
      const calling = core.model.nextCall();
      const client = new AbortController();
      const response = streamOf(core, 's', 'tell', client.signal).catch(() => undefined);
      const call = await calling;
      const at = performance.now();
      client.abort();
      took.push((await call.hungUp) - at);
      await response;
    }
    t.ok(Math.min(...took) < tellModelWithinMs, `the model was told after ${took.map(Math.round)} ms`);
    core.model.behaviour = (next) => answerWith(next, 'ok');
    await core.say('s', 'next');
    t.strictSame(await contents(core, 's'), ['next', 'ok']);
  },
);

t.test('a client that gives up waiting for its turn leaves the line in order', async (t) => {
  const core = await startTestCore(t);
  const calling = core.model.nextCall();
  core.model.behaviour = () => {};
  const first = core.say('s', 'first');
  const call = await calling;
  const client = new AbortController();
  const second = streamOf(core, 's', 'second', client.signal).catch(() => 'gone');
  const third = core.say('s', 'third');
  client.abort();
  t.equal(await second, 'gone');
  core.model.behaviour = (next) => answerWith(next, 'ok');
  answerWith(call, 'ok');
  await Promise.all([first, third]);
  t.strictSame(
    (await contents(core, 's')).filter((text) => text !== 'ok'),
    ['first', 'third'],
  );
});

t.test('the client sees the end of its turn only when the turn is on the disk', async (t) => {
  const core = await startTestCore(t);
  const { DatabaseSync } = await import('node:sqlite');
  const response = await streamOf(core, 's', 'hi');
  const decoder = new TextDecoder();
  let seen = '';
  for await (const bytes of response.body!) {
    seen += decoder.decode(bytes as Uint8Array);
    if (!seen.includes('finish_reason":"stop')) continue;
    const database = new DatabaseSync(core.sqlite, { readOnly: true });
    t.equal(database.prepare('SELECT count(*) AS n FROM messages').get()?.n, 2);
    database.close();
    break;
  }
});
