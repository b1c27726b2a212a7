import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import proxy from '@fastify/http-proxy';
import Fastify from 'fastify';
import OpenAI from 'openai';

/**
 * What the core's streams are compared with: `node relays.ts KIND MODEL_URL` prints its port. `fastify-http-proxy` passes bytes
 * on; `openai-client` is the plainest relay that an application would write.
 */
const [kind, modelUrl] = process.argv.slice(2) as [string, string];
const print = (port: number) => process.stdout.write(`port ${port}\n`);

if (kind === 'fastify-http-proxy') {
  const app = Fastify();
  await app.register(proxy, { upstream: modelUrl });
  await app.listen({ host: '127.0.0.1', port: 0 });
  print((app.server.address() as AddressInfo).port);
} else {
  const openai = new OpenAI({ baseURL: `${modelUrl}/v1`, apiKey: 'unused' });
  const server = createServer(async (request, response) => {
    const body = (await json(request)) as OpenAI.ChatCompletionCreateParamsStreaming;
    const stream = await openai.chat.completions.create(body);
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for await (const chunk of stream) response.write(`data: ${JSON.stringify(chunk)}\n\n`);
    response.end('data: [DONE]\n\n');
  });
  server.listen(0, '127.0.0.1', () => print((server.address() as AddressInfo).port));
}
