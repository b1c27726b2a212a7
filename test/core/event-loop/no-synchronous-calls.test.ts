import { once } from 'node:events';
import t from 'tap';
import { type CoreProcess, startCoreProcess } from '../../support/core-process.ts';
import { ModelServer } from '../../support/model-server.ts';
import { startRedis } from '../../support/redis-server.ts';

const recorder = new URL('../../support/record-sync-calls.ts', import.meta.url).href;

type Call = { readonly name: string; readonly stack: string };

async function ask<Answer>(core: CoreProcess, message: string): Promise<Answer> {
  const answer = once(core.child, 'message');
  core.child.send(message);
  return (await answer)[0] as Answer;
}

/** One user who does everything that the API offers. */
async function useEverything(url: string, session: string): Promise<number> {
  let requests = 0;
  const call = async (
    expected: number,
    method: string,
    path: string,
    body?: unknown,
    headers: object = {},
  ) => {
    const json = body !== undefined && !(body instanceof FormData);
    const response = await fetch(url + path, {
      method,
      headers: { ...(json ? { 'content-type': 'application/json' } : {}), ...headers },
      ...(body === undefined ? {} : { body: json ? JSON.stringify(body) : (body as FormData) }),
    });
    const text = await response.text();
    if (response.status !== expected) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    requests++;
    return text;
  };
  const messages = [{ role: 'user', content: `Hello from ${session}` }];
  const inSession = { 'x-session-id': session };
  await call(201, 'POST', '/api/chats', { id: session, title: 'first' });
  await call(200, 'POST', '/v1/chat/completions', { messages }, inSession);
  await call(200, 'POST', '/v1/chat/completions', { messages, stream: true }, inSession);
  await call(200, 'POST', '/v1/chat/completions', { messages });
  await call(400, 'POST', '/v1/chat/completions', { messages: 'none' }, inSession);
  await call(200, 'GET', '/v1/models');
  await call(200, 'GET', '/api/chats?limit=2');
  await call(200, 'GET', `/api/chats/${session}`);
  await call(200, 'GET', `/api/chats/${session}/messages`);
  await call(200, 'PATCH', `/api/chats/${session}`, { title: 'second' });
  await call(200, 'GET', `/api/chats/search?q=${session}`);
  for (const format of ['json', 'markdown'])
    await call(200, 'GET', `/api/chats/${session}/export?format=${format}`);

  const form = new FormData();
  form.append('metadata', JSON.stringify({ author: session }));
  form.append('file', new Blob(['x'.repeat(200_000) + session]), `${session}.txt`);
  const { files } = JSON.parse(await call(201, 'POST', `/api/chats/${session}/files`, form)) as {
    files: { id: string }[];
  };
  const file = `/api/files/${files[0]?.id}`;
  await call(200, 'GET', `/api/files?q=${session}`);
  await call(200, 'GET', `/api/chats/${session}/files`);
  await call(200, 'GET', file);
  await call(200, 'GET', `${file}/content`);
  await call(206, 'GET', `${file}/content`, undefined, { range: 'bytes=1-2' });
  await call(206, 'GET', `${file}/content`, undefined, { range: 'bytes=1-2,5-6' });
  await call(200, 'PATCH', file, { filename: 'renamed.txt' });
  await call(201, 'POST', `${file}/copy`, { session_id: `${session}-2` });
  await call(200, 'PATCH', `${file}/metadata`, { author: null });
  await call(200, 'GET', `${file}/metadata`);
  await call(204, 'DELETE', file);
  await call(200, 'POST', `${file}/restore`);
  await call(200, 'GET', `${file}/log`);
  await call(404, 'GET', '/api/files/nothing');
  await call(204, 'DELETE', `/api/chats/${session}`);
  for (const path of ['/health', '/metrics', '/openapi.json', '/docs']) await call(200, 'GET', path);
  await call(404, 'GET', '/nowhere');
  return requests;
}

t.test('no request makes a synchronous call of fs, child_process or SQLite on the main thread', async (t) => {
  const model = new ModelServer();
  const { port } = await model.listen();
  t.teardown(() => model.close());
  const redis = await startRedis(t);
  const peers = { outboundPort: port, redisPort: redis.port };
  const core = await startCoreProcess(t, peers, ['--import', recorder]);
  // From source, undici loads its HTTP parser with its first connection; in the executable that is part of the program.
  await useEverything(core.url, 'first');
  t.equal(await ask(core, 'record'), 'recording');
  const users = Array.from({ length: 20 }, (_, n) => useEverything(core.url, `session-${n}`));
  const requests = (await Promise.all(users)).reduce((sum, count) => sum + count, 0);
  t.ok(requests >= 20 * 34, `${requests} requests`);
  t.strictSame(await ask<Call[]>(core, 'report'), []);

  await ask(core, 'record');
  core.child.send('prove');
  const proof = await ask<Call[]>(core, 'report');
  for (const name of ['fs.readFileSync', 'DatabaseSync.exec']) {
    t.ok(
      proof.some((call) => call.name === name),
      `and the recorder sees ${name}`,
    );
  }
});
