import { request } from 'node:http';
import type { LocalService } from './layout.ts';
import type { LocalFleet } from './local-fleet.ts';

interface Answer {
  readonly status: number;
  readonly text: string;
}

interface Probe {
  readonly title: string;
  readonly passes: () => Promise<string | undefined>;
}

const chat = {
  model: 'qwen2.5-coder-7b-instruct',
  messages: [{ role: 'user', content: 'Does everything answer?' }],
};

/**
 * Calls every part of the running, logging fleet the way its users do, and says of each whether it answered.
 *
 * @returns whether all did
 */
export async function probeAll(fleet: LocalFleet, say: (line: string) => void): Promise<boolean> {
  let allPassed = true;
  for (const { title, passes } of probes(fleet.services)) {
    const fault = await passes().catch((error: Error) => error.message);
    say(fault === undefined ? `ok      ${title}` : `FAILED  ${title}: ${fault}`);
    if (fault !== undefined) allPassed = false;
  }
  return allPassed;
}

function probes(services: readonly LocalService[]): Probe[] {
  const [backend, npu] = services as [LocalService, LocalService, LocalService];
  const route = [...backend.routes].find(([, callee]) => callee === 'ai-stack')?.[0] ?? 0;
  return [
    ...services.map(({ name, admin }) => ({
      title: `${name}'s sidecar is ready and logging`,
      passes: async () => {
        const { status, text } = await call(admin, 'GET', '/status');
        const { phase, ready } = JSON.parse(text) as { phase: string; ready: boolean };
        return expected(status === 200 && phase === 'logging' && ready, text);
      },
    })),
    {
      title: 'main-backend calls npu-worker through HTTP_PROXY',
      passes: async () => {
        const { status, text } = await call(backend.outbound, 'POST', 'http://npu-worker/api/process', {
          image: 'cat',
        });
        return expected(status === 200 && text.includes('"caller":"main-backend"'), text);
      },
    },
    {
      title: 'main-backend lists the models of ai-stack through a route listener',
      passes: async () => {
        const { status, text } = await call(route, 'GET', '/v1/models');
        return expected(status === 200, text);
      },
    },
    {
      title: 'an unsigned call is forwarded by the logging binary, and reported',
      passes: async () => {
        const { status, text } = await call(npu.inbound, 'POST', '/api/process', {});
        if (status !== 200) return text;
        const denials = await call(npu.admin, 'GET', '/denials');
        return expected(denials.text.includes('missing-signature'), denials.text);
      },
    },
    {
      title: 'the core service chats with the model through two sidecars',
      passes: async () => {
        const { status, text } = await call(backend.app, 'POST', '/v1/chat/completions', chat);
        return expected(status === 200, text);
      },
    },
  ];
}

function expected(holds: boolean, found: string): string | undefined {
  return holds ? undefined : `found ${found.slice(0, 200)}`;
}

function call(port: number, method: string, target: string, body?: object): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const host = target.startsWith('http:') ? new URL(target).host : `127.0.0.1:${port}`;
  const headers = { host, ...(body && { 'content-type': 'application/json' }) };
  const asked = request({
    host: '127.0.0.1',
    port,
    method,
    path: target,
    headers,
    agent: false,
    timeout: 30_000,
  });
  asked.once('response', (response) => {
    let text = '';
    response.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    response.once('end', () => resolve({ status: response.statusCode ?? 0, text }));
    response.once('error', reject);
  });
  asked.once('timeout', () => asked.destroy(new Error('no answer within 30 s')));
  asked.once('error', reject);
  asked.end(body && JSON.stringify(body));
  return promise;
}
