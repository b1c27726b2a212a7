import t from 'tap';
import { form } from '../../support/core-files.ts';
import { startTestCore, type TestCore } from '../../support/core-service.ts';

type Headers = Record<string, string>;

const alice = { 'x-service-id': 'frontend', 'x-end-user': 'alice' };
const bob = { 'x-service-id': 'frontend', 'x-end-user': 'bob' };
const service = { 'x-service-id': 'frontend' };
const other = { 'x-service-id': 'npu-worker', 'x-end-user': 'alice' };
/** Says who the user is without a proven service. */
const unproven = { 'x-end-user': 'alice' };
const strangers: readonly Headers[] = [bob, service, other, unproven, {}];

const body = async (response: Response) => (await response.json()) as Record<string, unknown>;
const get = (core: TestCore, path: string, headers: Headers) => core.fetch(path, { headers });

t.test("another owner's session is not found, whatever is tried with it", async (t) => {
  const core = await startTestCore(t);
  await core.say('plans', 'a secret word', alice);
  for (const headers of strangers) {
    for (const path of ['', '/messages', '/export', '/export?format=markdown']) {
      t.equal((await get(core, `/api/chats/plans${path}`, headers)).status, 404, path);
    }
    const json = { ...headers, 'content-type': 'application/json' };
    const rename = { method: 'PATCH', headers: json, body: '{"title":"mine"}' };
    t.equal((await core.fetch('/api/chats/plans', rename)).status, 404);
    t.equal((await core.fetch('/api/chats/plans', { method: 'DELETE', headers })).status, 404);
    t.equal((await core.fetch('/api/chats/plans/claim', { method: 'POST', headers })).status, 404);
    t.match(await body(await get(core, '/api/chats', headers)), { chats: [] });
    t.match(await body(await get(core, '/api/chats/search?q=secret', headers)), { messages: [] });
  }
  t.match(await body(await get(core, '/api/chats/plans', alice)), {
    title: 'a secret word',
    created_by: 'frontend',
  });
});

t.test('the same name is a session for each owner, and no turn of one is prompted to another', async (t) => {
  const core = await startTestCore(t);
  const owners = [alice, ...strangers.slice(0, 3), {}];
  for (const [index, headers] of owners.entries()) {
    await core.say('same', `of ${index}`, headers);
    await core.say('same', `more of ${index}`, headers);
    const told = core.model.calls.at(-1)!.body.messages.map(({ content }) => content);
    t.strictSame(told, [`of ${index}`, `You said: of ${index}`, `more of ${index}`]);
  }
  const key = { 'idempotency-key': 'k' };
  const answers = await Promise.all(
    [alice, bob].map(async (headers, index) =>
      (await core.say('idempotent', `by ${index}`, { ...headers, ...key })).text(),
    ),
  );
  t.match(answers[0], /by 0/);
  t.match(answers[1], /by 1/);
});

t.test('files belong to their owner as well', async (t) => {
  const core = await startTestCore(t);
  const made = await core.fetch('/api/chats/plans/files', {
    method: 'POST',
    headers: alice,
    body: form('content', 'a.txt'),
  });
  const { files } = (await made.json()) as { files: { id: string; uploaded_by: string }[] };
  const { id, uploaded_by } = files[0]!;
  t.equal(uploaded_by, 'frontend/alice');
  for (const headers of strangers) {
    for (const path of ['', '/content', '/metadata', '/log']) {
      t.equal((await get(core, `/api/files/${id}${path}`, headers)).status, 404, path);
    }
    const json = { ...headers, 'content-type': 'application/json' };
    for (const [method, path, sent] of [
      ['PATCH', '', '{"filename":"b.txt"}'],
      ['PATCH', '/metadata', '{"a":"b"}'],
      ['POST', '/copy', '{}'],
      ['POST', '/restore', '{}'],
      ['DELETE', '', '{}'],
    ] as const) {
      const response = await core.fetch(`/api/files/${id}${path}`, { method, headers: json, body: sent });
      t.equal(response.status, 404, `${method} ${path}`);
    }
    for (const path of ['/api/files', '/api/files?q=a', '/api/chats/plans/files']) {
      t.match(await body(await get(core, path, headers)), { files: [] });
    }
  }
  t.equal(await (await get(core, `/api/files/${id}/content`, alice)).text(), 'content');
});

t.test('unowned_readers read, list and claim what belongs to nobody; other services do not', async (t) => {
  const core = await startTestCore(t, { unownedReaders: ['admin'] });
  const admin = { 'x-service-id': 'admin' };
  await core.say('old', 'from before');
  await core.fetch('/api/chats/old/files', { method: 'POST', body: form('content', 'old.txt') });
  const listed = (await body(await core.fetch('/api/files'))) as { files: { id: string }[] };
  const file = listed.files[0]!.id;
  t.equal((await get(core, '/api/chats/old', alice)).status, 404);
  t.equal((await get(core, `/api/files/${file}`, alice)).status, 404);
  const refused = await get(core, '/api/chats?unowned=true', alice);
  t.equal(refused.status, 403);
  t.match(await body(refused), { error: { code: 'not_allowed', param: 'unowned' } });

  t.match(await body(await get(core, '/api/chats/old/messages', admin)), { messages: { length: 2 } });
  t.equal(await (await get(core, `/api/files/${file}/content`, admin)).text(), 'content');
  t.match(await body(await get(core, '/api/chats', admin)), { chats: [] });
  t.match(await body(await get(core, '/api/chats?unowned=true', admin)), { chats: [{ id: 'old' }] });
  t.match(await body(await get(core, '/api/chats/search?q=before&unowned=true', admin)), {
    messages: { length: 2 },
  });
  const json = { ...admin, 'content-type': 'application/json' };
  const rename = { method: 'PATCH', headers: json, body: '{"title":"mine"}' };
  t.equal((await core.fetch('/api/chats/old', rename)).status, 404, 'only to read, until it is claimed');
  t.equal((await core.fetch('/api/chats/old/claim', { method: 'POST', headers: alice })).status, 404);
  t.equal((await core.fetch('/api/chats/old/claim', { method: 'POST', headers: admin })).status, 200);
  t.equal((await core.fetch('/api/chats/old', rename)).status, 200);
  t.equal((await core.fetch('/api/chats/old')).status, 404, 'it belongs to somebody now');
  t.equal((await core.fetch(`/api/files/${file}`)).status, 404);
  t.equal(await (await get(core, `/api/files/${file}/content`, admin)).text(), 'content');
  await core.say('old', 'again');
  const again = await core.fetch('/api/chats/old/claim', { method: 'POST', headers: admin });
  t.match([again.status, await body(again)], [409, { error: { code: 'session_exists' } }]);
});

t.test('an end user has at most 128 characters', async (t) => {
  const core = await startTestCore(t);
  const user = (length: number) => ({ 'x-service-id': 'frontend', 'x-end-user': 'x'.repeat(length) });
  t.equal((await get(core, '/api/chats', user(128))).status, 200);
  const long = await get(core, '/api/chats', user(129));
  t.match(
    [long.status, await body(long)],
    [400, { error: { code: 'invalid_request', param: 'X-End-User' } }],
  );
});
