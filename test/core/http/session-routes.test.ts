import t from 'tap';
import { startTestCore, type TestCore } from '../../support/core-service.ts';
import { answerWith, echo } from '../../support/model-server.ts';

/** Of all tests that do not need one to themselves. */
const core = await startTestCore(t);
const json = { 'content-type': 'application/json' };

async function get(core: TestCore, path: string): Promise<Record<string, unknown>> {
  return (await core.fetch(path)).json() as Promise<Record<string, unknown>>;
}

t.test('makes, shows, renames and deletes sessions', async (t) => {
  const made = await core.fetch('/api/chats', {
    method: 'POST',
    headers: json,
    body: JSON.stringify({ id: 'plans', title: 'Plans' }),
  });
  t.equal(made.status, 201);
  t.equal(made.headers.get('location'), '/api/chats/plans');
  t.match(await made.json(), { id: 'plans', title: 'Plans', created_by: null, message_count: 0 });
  const again = await core.fetch('/api/chats', {
    method: 'POST',
    headers: json,
    body: JSON.stringify({ id: 'plans' }),
  });
  t.match([again.status, await again.json()], [409, { error: { code: 'session_exists' } }]);
  const unnamed = (await (await core.fetch('/api/chats', { method: 'POST' })).json()) as { id: string };
  t.match(unnamed.id, /^[0-9a-f-]{36}$/);

  const renamed = await core.fetch('/api/chats/plans', {
    method: 'PATCH',
    headers: json,
    body: JSON.stringify({ title: 'Better plans' }),
  });
  t.match(await renamed.json(), { title: 'Better plans' });
  await core.say('plans', 'hello');
  t.match(await get(core, '/api/chats/plans'), { title: 'Better plans', message_count: 2 });
  await core.say('blank', ' \n ');
  t.match(await get(core, '/api/chats/blank'), { title: null }, 'a blank message gives no title');

  t.equal((await core.fetch('/api/chats/plans', { method: 'DELETE' })).status, 204);
  for (const path of ['', '/messages', '/export']) {
    t.equal((await core.fetch(`/api/chats/plans${path}`)).status, 404);
  }
  t.equal((await core.fetch('/api/chats/plans', { method: 'DELETE' })).status, 404);
  t.match(await get(core, '/api/chats/search?q=hello'), { messages: [] });
  await core.say('plans', 'a new start');
  t.match(
    core.model.calls.at(-1)?.body.messages,
    { length: 1 },
    'the name is free, the old messages are gone',
  );
});

t.test(
  'lists sessions page by page, the most lately used first, without losing or repeating one',
  async (t) => {
    const core = await startTestCore(t);
    for (const session of ['a', 'b', 'c', 'd', 'e']) await core.say(session, `about ${session}`);
    await core.say('b', 'again');
    const seen: string[] = [];
    for (let cursor = ''; ; ) {
      const page = (await get(core, `/api/chats?limit=2${cursor}`)) as {
        chats: { id: string }[];
        next_cursor: string | null;
      };
      seen.push(...page.chats.map(({ id }) => id));
      if (page.next_cursor === null) break;
      cursor = `&cursor=${page.next_cursor}`;
    }
    t.strictSame(seen, ['b', 'e', 'd', 'c', 'a']);
    t.match(await get(core, '/api/chats/a'), { title: 'about a' });
  },
);

t.test('reads messages page by page in both directions', async (t) => {
  for (const text of ['one', 'two', 'three']) await core.say('pages', text);
  for (const [order, expected] of [
    ['asc', [1, 2, 3, 4, 5, 6]],
    ['desc', [6, 5, 4, 3, 2, 1]],
  ] as const) {
    const seen: number[] = [];
    for (let cursor = ''; ; ) {
      const page = (await get(core, `/api/chats/pages/messages?limit=4&order=${order}${cursor}`)) as {
        messages: { position: number }[];
        next_cursor: string | null;
      };
      seen.push(...page.messages.map(({ position }) => position));
      if (page.next_cursor === null) break;
      cursor = `&cursor=${page.next_cursor}`;
    }
    t.strictSame(seen, expected);
    t.match(
      await get(core, `/api/chats/pages/messages?limit=6&order=${order}`),
      { next_cursor: null },
      'a last page that is full',
    );
  }
  for (const query of [
    'limit=0',
    'limit=201',
    'limit=x',
    'cursor=nonsense',
    `cursor=${Buffer.from('["a"]').toString('base64url')}`,
  ]) {
    t.equal((await core.fetch(`/api/chats/pages/messages?${query}`)).status, 400, query);
  }
});

t.test('exports a whole session as JSON and as Markdown', async (t) => {
  core.model.behaviour = (call) => answerWith(call, '**bold** and `code`');
  await core.say('styled', 'Say something\nwith style');
  core.model.behaviour = echo;
  const asJson = await core.fetch('/api/chats/styled/export');
  t.equal(asJson.headers.get('content-disposition'), 'attachment; filename="styled.json"');
  t.match(await asJson.json(), {
    id: 'styled',
    title: 'Say something',
    messages: [
      { position: 1, role: 'user', content: 'Say something\nwith style' },
      { position: 2, role: 'assistant', content: '**bold** and `code`', state: 'complete' },
    ],
  });
  const markdown = await core.fetch('/api/chats/styled/export?format=markdown');
  t.match(markdown.headers.get('content-type'), 'text/markdown');
  t.match(
    await markdown.text(),
    /^# Say something\n\n2 messages, .*\n\n## User, .*\n\nSay something\nwith style\n\n## Assistant, .*\n\n\*\*bold\*\* and `code`\n$/,
  );
});

t.test('an export of many pages is whole and valid', async (t) => {
  const messages = Array.from({ length: 1201 }, (_, index) => ({
    role: index % 2 ? 'assistant' : 'user',
    content: `message ${index}`,
  }));
  await core.fetch('/v1/chat/completions', {
    method: 'POST',
    headers: { ...json, 'x-session-id': 'long' },
    body: JSON.stringify({ messages }),
  });
  const exported = (await get(core, '/api/chats/long/export')) as { messages: { position: number }[] };
  t.strictSame(
    exported.messages.map(({ position }) => position),
    Array.from({ length: 1202 }, (_, index) => index + 1),
  );
});

t.test('finds messages by words, phrases and beginnings, and takes nothing for an operator', async (t) => {
  await core.say('a', 'The quick brown fox');
  await core.say('b', 'A quick démarrage of the brown engine');
  const found = async (q: string, more = '') => {
    const { messages } = (await get(core, `/api/chats/search?q=${encodeURIComponent(q)}${more}`)) as {
      messages: { session_id: string; role: string; excerpt: string }[];
    };
    return messages.filter(({ role }) => role === 'user').map(({ session_id }) => session_id);
  };
  t.strictSame(await found('quick'), ['b', 'a'], 'the newest first');
  t.strictSame(await found('brown quick'), ['b', 'a'], 'in any order');
  t.strictSame(await found('"quick brown"'), ['a'], 'a phrase');
  t.strictSame(await found('demar'), ['b'], 'the beginning of a word, whatever its accents');
  t.strictSame(await found('quick', '&session_id=a'), ['a']);
  for (const hostile of [
    'quick OR',
    'fox NEAR(',
    'content:fox',
    '"',
    'fox"',
    '* fox',
    "fox'; DROP TABLE messages",
    '^quick',
    'fox -brown',
    '{a b}:fox',
    '\u0000fox',
  ]) {
    const response = await core.fetch(`/api/chats/search?q=${encodeURIComponent(hostile)}`);
    t.ok([200, 400].includes(response.status), `${JSON.stringify(hostile)}: ${response.status}`);
  }
  t.equal((await core.fetch('/api/chats/search?q=%20*%20')).status, 400);
  const page = (await get(core, '/api/chats/search?q=quick&limit=1')) as {
    next_cursor: string;
    messages: { excerpt: string }[];
  };
  t.match(page.messages[0]?.excerpt, '[quick]');
  t.match(await get(core, `/api/chats/search?q=quick&limit=1&cursor=${page.next_cursor}`), {
    messages: [{}],
  });
});

t.test('hostile session ids are refused in every place', async (t) => {
  for (const id of ['..', '%2e%2e', 'a%2Fb', 'a%00b', '%20', 'x'.repeat(200), "'--", '%ff']) {
    const { status } = await core.fetch(`/api/chats/${id}/messages`);
    t.ok(status === 400 || status === 404, `${id}: ${status}`);
  }
  const body = JSON.stringify({
    messages: [{ role: 'user', content: 'x' }],
    metadata: { session_id: { $ne: 1 } },
  });
  t.equal((await core.fetch('/v1/chat/completions', { method: 'POST', headers: json, body })).status, 400);
  t.equal((await core.say('search', 'x')).status, 400, 'the name of a route');
});

t.test('the OpenAPI page describes every route from the schemas that check it', async (t) => {
  const api = (await get(core, '/openapi.json')) as { paths: Record<string, Record<string, object>> };
  t.match(api.paths['/v1/chat/completions']?.post, {
    requestBody: {
      content: { 'application/json': { schema: { required: ['messages'], properties: { stream: {} } } } },
    },
  });
  t.match(api.paths['/api/chats/{session}/messages']?.get, { parameters: [{ name: 'limit', in: 'query' }] });
  const page = await core.fetch('/docs');
  t.match(page.headers.get('content-type'), 'text/html');
  t.notMatch(await page.text(), /https?:\/\//, 'it loads nothing from elsewhere');
});
