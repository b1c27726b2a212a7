import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import OpenAI from 'openai';
import t, { type Test } from 'tap';
import { WebSocket } from 'ws';
import { aiStack } from '../samples/ai-stack.ts';
import { npuWorker } from '../samples/npu-worker.ts';

async function listen(test: Test, server: Server): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  test.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

t.test('the sample ai-stack speaks to the openai client', async (t) => {
  const at = await listen(t, aiStack());
  const client = new OpenAI({ baseURL: `http://${at}/v1`, apiKey: 'none', maxRetries: 0 });
  const messages = [{ role: 'user' as const, content: 'hello there' }];
  const whole = await client.chat.completions.create({ model: 'm', messages });
  const expected = 'an unnamed caller sent m 1 message; the last one, from user, says: hello there';
  t.equal(whole.choices[0]?.message.content, expected);
  t.equal(whole.choices[0]?.finish_reason, 'stop');

  const stream = await client.chat.completions.create({
    model: 'm',
    messages,
    stream: true,
    stream_options: { include_usage: true },
  });
  let text = '';
  let usage: unknown;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? '';
    usage = chunk.usage ?? usage;
  }
  t.equal(text, expected, 'the same answer, streamed');
  t.strictSame(usage, whole.usage);

  const short = await client.chat.completions.create({ model: 'm', messages, max_tokens: 2 });
  t.match(short.choices[0], { finish_reason: 'length', message: { content: 'an unnamed ' } });
  const refused = await client.chat.completions.create({ model: 'm', messages: [] }).catch((error) => error);
  t.equal(refused.status, 400);
  t.ok((await client.models.list()).data.length > 0);
});

t.test('the sample npu-worker takes tasks, uploads and sockets', async (t) => {
  const at = await listen(t, npuWorker());
  const body = JSON.stringify({ image: 'cat' });
  const made = (await (await fetch(`http://${at}/api/process`, { method: 'POST', body })).json()) as {
    id: string;
  };
  const status = await (await fetch(`http://${at}/api/status/${made.id}`)).json();
  t.match(status, { status: 'done', result: { input: { image: 'cat' } } });
  t.equal((await fetch(`http://${at}/api/status/none`)).status, 404);

  const download = await fetch(`http://${at}/api/download?bytes=700001`);
  t.equal((await download.arrayBuffer()).byteLength, 700_001);
  const upload = await fetch(`http://${at}/api/upload`, { method: 'POST', body: Buffer.alloc(300_000) });
  t.match(await upload.json(), { bytes: 300_000, sha256: /^[0-9a-f]{64}$/ });

  const socket = new WebSocket(`ws://${at}/ws`);
  await once(socket, 'open');
  socket.send('ping');
  const [echo] = (await once(socket, 'message')) as [Buffer];
  t.equal(echo.toString(), 'ping');
  socket.terminate();
});
