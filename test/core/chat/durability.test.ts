import t, { type Test } from 'tap';
import { type CoreProcess, startCoreProcess } from '../../support/core-process.ts';
import { answerWith, lastText, ModelServer } from '../../support/model-server.ts';

interface Shown {
  readonly position: number;
  readonly role: string;
  readonly content: string;
  readonly state: string;
}

async function fleet(t: Test): Promise<{ core: CoreProcess; model: ModelServer }> {
  const model = new ModelServer();
  const { port } = await model.listen();
  const core = await startCoreProcess(t, { outboundPort: port });
  t.teardown(() => model.close());
  return { core, model };
}

const ask = (core: CoreProcess, session: string, content: string, more: object = {}, headers = {}) =>
  fetch(`${core.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-session-id': session, ...headers },
    body: JSON.stringify({ messages: [{ role: 'user', content }], ...more }),
  });

async function messagesOf(core: CoreProcess, session: string): Promise<Shown[]> {
  const response = await fetch(`${core.url}/api/chats/${session}/messages?limit=200`);
  return response.status === 404 ? [] : ((await response.json()) as { messages: Shown[] }).messages;
}

t.test('kill -9 at any moment: what was acknowledged is there, once and in order', async (t) => {
  const { core, model } = await fleet(t);
  // Each answer takes a moment, so that kills hit every phase of a turn.
  model.behaviour = (call) =>
    void setTimeout(() => answerWith(call, `answer to ${lastText(call)}`), Math.random() * 8);
  const sessions = ['a', 'b', 'c', 'd'];
  const acknowledged = new Map(sessions.map((session) => [session, [] as string[]]));
  for (let round = 0; round < 4; round++) {
    let killed = false;
    let inRound = 0;
    let enough = () => {};
    const busy = new Promise<void>((resolve) => {
      enough = resolve;
    });
    const clients = sessions.map(async (session, index) => {
      for (let turn = 0; !killed; turn++) {
        const text = `${session}.${round}.${turn}`;
        const stream = index % 2 === 0;
        const answer = await ask(core, session, text, { stream })
          .then((response) => response.text())
          .catch(() => '');
        // Acknowledged is what the client saw the end of.
        if (stream ? answer.endsWith('[DONE]\n\n') : answer.includes('"finish_reason":"stop"'))
          acknowledged.get(session)?.push(text);
        if (++inRound >= 16) enough();
      }
    });
    await busy;
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 15));
    const ended = core.end('SIGKILL');
    killed = true;
    t.equal(await ended, 'SIGKILL');
    await Promise.all(clients);
    await core.start();
  }
  let total = 0;
  for (const session of sessions) {
    const messages: Shown[] = [];
    for (let cursor = ''; ; ) {
      const page = (await (
        await fetch(`${core.url}/api/chats/${session}/messages?limit=200${cursor}`)
      ).json()) as {
        messages: Shown[];
        next_cursor: string | null;
      };
      messages.push(...page.messages);
      if (page.next_cursor === null) break;
      cursor = `&cursor=${page.next_cursor}`;
    }
    t.strictSame(
      messages.map(({ position }) => position),
      messages.map((_, index) => index + 1),
      'no gap, none twice',
    );
    const said = messages.filter(({ role }) => role === 'user').map(({ content }) => content);
    t.equal(new Set(said).size, said.length, 'none duplicated');
    const expected = acknowledged.get(session) ?? [];
    t.strictSame(
      said.filter((text) => expected.includes(text)),
      expected,
      'none lost, and in order',
    );
    for (const [index, message] of messages.entries()) {
      if (message.role !== 'assistant') continue;
      const asked = messages[index - 1]?.content ?? '';
      const whole = `answer to ${asked}`;
      t.ok(message.state === 'complete' ? message.content === whole : whole.startsWith(message.content));
    }
    total += expected.length;
  }
  t.ok(total >= 40, `${total} acknowledged turns`);
});

t.test(
  'a half-streamed answer outlives kill -9, marked as interrupted, and the next turn knows it',
  async (t) => {
    const { core, model } = await fleet(t);
    const called = model.nextCall();
    model.behaviour = (call) => call.chunk({ content: 'Once upon a time' });
    const response = await ask(core, 's', 'a story', { stream: true });
    const reader = response.body!.getReader();
    await called;
    await reader.read();
    await until(async () => noted(core.sqlite));
    t.equal(await core.end('SIGKILL'), 'SIGKILL');
    await reader.read().catch(() => undefined);
    await core.start();
    t.match(await messagesOf(core, 's'), [
      { position: 1, role: 'user', content: 'a story', state: 'complete' },
      { position: 2, role: 'assistant', content: 'Once upon a time', state: 'interrupted' },
    ]);
    model.behaviour = (call) => answerWith(call, 'there was');
    await (await ask(core, 's', 'go on')).text();
    t.match(
      model.calls.at(-1)?.body.messages.map(({ content }) => content),
      ['a story', 'Once upon a time', 'go on'],
    );
  },
);

t.test(
  'a retry with the same Idempotency-Key takes the place of the answer that a crash cut off',
  async (t) => {
    const { core, model } = await fleet(t);
    await (await ask(core, 's', 'before')).text();
    model.behaviour = (call) => call.chunk({ content: 'Once upon' });
    const response = await ask(core, 's', 'a story', { stream: true }, { 'idempotency-key': 'k' });
    await response.body!.getReader().read();
    await until(async () => noted(core.sqlite));
    await core.end('SIGKILL');
    await core.start();
    model.behaviour = (call) => answerWith(call, 'Once upon a time there was a proxy.');
    await (await ask(core, 's', 'a story', {}, { 'idempotency-key': 'k' })).text();
    t.strictSame(
      model.calls.at(-1)?.body.messages.map(({ content }) => content),
      ['before', 'You said: before', 'a story'],
    );
    t.match((await messagesOf(core, 's')).slice(2), [
      { position: 3, role: 'user', content: 'a story' },
      { position: 4, role: 'assistant', content: 'Once upon a time there was a proxy.', state: 'complete' },
    ]);
    t.equal((await messagesOf(core, 's')).length, 4);
  },
);

t.test('SIGTERM lets short turns end, interrupts long ones with an error, and keeps both', async (t) => {
  const { core, model } = await fleet(t);
  model.behaviour = (call) => call.chunk({ content: 'begun ' });
  const short = await ask(core, 'short', 'x', { stream: true });
  const shortCall = model.calls[0]!;
  const long = await ask(core, 'long', 'x', { stream: true });
  const ended = core.end('SIGTERM');
  shortCall.chunk({ content: 'and finished' });
  shortCall.finish();
  t.match(await short.text(), /\[DONE\]/);
  t.match(await long.text(), /"code":"shutting_down"/);
  t.equal(await ended, 0);
  await core.start();
  t.match((await messagesOf(core, 'short'))[1], { content: 'begun and finished', state: 'complete' });
  t.match((await messagesOf(core, 'long'))[1], { content: 'begun ', state: 'interrupted' });
});

/** True once the text of a streaming answer is on the disk. */
async function noted(file: string): Promise<boolean> {
  const { DatabaseSync } = await import('node:sqlite');
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    return database.prepare('SELECT count(*) AS n FROM turn_texts').get()?.n !== 0;
  } finally {
    database.close();
  }
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (const deadline = performance.now() + 10_000; !(await condition()); ) {
    if (performance.now() > deadline) throw new Error('it never came');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
