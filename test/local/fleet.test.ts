import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { promisify } from 'node:util';
import OpenAI from 'openai';
import t from 'tap';
import { WebSocket } from 'ws';
import { commandLines } from '../../sidecar/local/board.ts';
import { Watch } from '../../sidecar/local/watch.ts';
import { answerTo } from '../samples/ai-stack.ts';
import { httpCall } from '../support/http-call.ts';
import { startLocalFleet } from '../support/local-fleet.ts';

const gibibyte = 1024 ** 3;
const mostGrowth = 64 * 1024 ** 2;

t.test('the local fleet, used as its users do', { timeout: 240_000 }, async (t) => {
  const { fleet, folder, at } = await startLocalFleet(t);
  const [backend, npu, ai] = [at('main-backend'), at('npu-worker'), at('ai-stack')];
  const toModel = [...backend.routes].find(([, callee]) => callee === 'ai-stack')?.[0] ?? 0;
  const toWorker = [...backend.routes].find(([, callee]) => callee === 'npu-worker')?.[0] ?? 0;
  const shell = (command: string) => promisify(execFile)('/bin/sh', ['-c', command]);
  const unsigned = { target: '/api/process', method: 'POST', body: '{}' };

  t.test('up.json says where everything is', async (t) => {
    const up = JSON.parse(await readFile(folder.at('up.json'), 'utf8'));
    t.match(up, {
      pid: process.pid,
      redis: /^redis:\/\/127\.0\.0\.1:\d+$/,
      console: /^http:\/\/127\.0\.0\.1:\d+\/#token=[\w-]{43}$/,
      services: {
        'npu-worker': {
          app: `127.0.0.1:${npu.app}`,
          outbound: `127.0.0.1:${npu.outbound}`,
          inbound: `127.0.0.1:${npu.inbound}`,
          admin: `127.0.0.1:${npu.admin}`,
          phase: 'logging',
        },
        'main-backend': { routes: { [`127.0.0.1:${toModel}`]: 'ai-stack' } },
      },
    });
  });

  t.test('the console shows the fleet to whoever has the link', async (t) => {
    const [, port, token] = /:(\d+)\/#token=(.*)$/.exec(fleet.console ?? '') ?? [];
    const page = await httpCall(Number(port), { target: '/' });
    t.match(page, { status: 200, text: /<script type="module" src="\/console.js">/ });
    t.match(await httpCall(Number(port), { target: '/console.js' }), {
      status: 200,
      text: /countersign-token/,
    });
    t.match(await httpCall(Number(port), { target: '/api/fleet' }), { status: 401 });
    const headers = { authorization: `Bearer ${token}` };
    const { hosts } = JSON.parse((await httpCall(Number(port), { target: '/api/fleet', headers })).text);
    t.match(hosts[0], { service: 'main-backend', host: '127.0.0.1', phase: 'logging', health: 'ready' });
  });

  t.test('the three commands on the board do what it says', async (t) => {
    const [proxy, route, stranger] = commandLines(fleet.services) as [string, string, string];
    t.match((await shell(proxy)).stdout, '"caller":"main-backend"', 'signed and proven');
    t.match((await shell(route)).stdout, /^data: .*\n\n(data: .*\n\n)+data: \[DONE\]/, 'streamed');
    t.match((await shell(stranger)).stdout, /^HTTP\/1.1 200 /, 'forwarded by the logging binary');
    const { denials } = JSON.parse((await httpCall(npu.admin, { target: '/denials' })).text);
    t.match(denials[0], { reason: 'missing-signature', path: '/api/process', disposition: 'forwarded' });
  });

  t.test('the openai client chats with the model through two sidecars', async (t) => {
    const client = new OpenAI({ baseURL: `http://127.0.0.1:${toModel}/v1`, apiKey: 'none', maxRetries: 0 });
    const messages = [{ role: 'user' as const, content: 'hello through two sidecars' }];
    const expected = answerTo({ model: 'm', messages }, 'main-backend').words.join('');
    const whole = await client.chat.completions.create({ model: 'm', messages });
    t.equal(whole.choices[0]?.message.content, expected);
    const stream = await client.chat.completions.create({ model: 'm', messages, stream: true });
    let text = '';
    let chunks = 0;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? '';
      chunks++;
    }
    t.equal(text, expected, 'the model was told who called');
    t.ok(chunks > 10, `in ${chunks} pieces`);
  });

  t.test('the openai client chats with the core service', async (t) => {
    const client = new OpenAI({
      baseURL: `http://127.0.0.1:${backend.app}/v1`,
      apiKey: 'none',
      maxRetries: 0,
    });
    const messages = [{ role: 'user' as const, content: 'hello core' }];
    const stream = await client.chat.completions.create({
      model: 'llama-3.2-3b-instruct',
      messages,
      stream: true,
    });
    let text = '';
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
    t.match(text, /^main-backend sent .* says: hello core$/);
  });

  t.test('server-sent events arrive one by one', async (t) => {
    const sent = request({
      host: '127.0.0.1',
      port: toWorker,
      path: '/api/events?count=4',
      agent: false,
    }).end();
    const [response] = await once(sent, 'response');
    const arrivals: number[] = [];
    for await (const _ of response) arrivals.push(performance.now());
    t.equal(arrivals.length, 4, 'no two events in one piece');
    t.ok((arrivals.at(-1) as number) - (arrivals[0] as number) > 150, 'as they were sent');
  });

  t.test('a WebSocket echoes through two sidecars', async (t) => {
    const socket = new WebSocket(`ws://127.0.0.1:${toWorker}/ws`);
    await once(socket, 'open');
    for (const message of ['first', 'x'.repeat(1_000_000), 'last']) {
      socket.send(message);
      const [echo] = (await once(socket, 'message')) as [Buffer];
      t.equal(echo.toString(), message);
    }
    const closed = once(socket, 'close');
    socket.close(1000);
    t.equal((await closed)[0], 1000, 'closed in order');
  });

  t.test('1 GiB up and 1 GiB down leave the sidecars small', async (t) => {
    const pids = ['main-backend', 'npu-worker'].map((name) => fleet.sidecarPid(name) ?? 0);
    const rss = async () => Promise.all(pids.map(residentBytes));
    const before = await rss();
    const peaks = [...before];
    const sampling = setInterval(async () => {
      for (const [index, bytes] of (await rss()).entries()) peaks[index] = Math.max(peaks[index] ?? 0, bytes);
    }, 50);
    t.teardown(() => clearInterval(sampling));

    const block = Buffer.alloc(1024 ** 2, 'a block of an upload ');
    const hash = createHash('sha256');
    const headers = { host: 'npu-worker', 'content-length': gibibyte };
    const upload = request({
      host: '127.0.0.1',
      port: toWorker,
      method: 'POST',
      path: '/api/upload',
      headers,
      agent: false,
    });
    const answered = once(upload, 'response');
    for (let sent = 0; sent < gibibyte; sent += block.length) {
      hash.update(block);
      if (!upload.write(block)) await once(upload, 'drain');
    }
    upload.end();
    const [uploaded] = await answered;
    let text = '';
    for await (const part of uploaded) text += part;
    t.strictSame(JSON.parse(text), { bytes: gibibyte, sha256: hash.digest('hex') }, 'every byte arrived');

    const download = request({
      host: '127.0.0.1',
      port: toWorker,
      path: `/api/download?bytes=${gibibyte}`,
      agent: false,
    }).end();
    const [downloaded] = await once(download, 'response');
    let received = 0;
    for await (const part of downloaded) received += part.length;
    t.equal(received, gibibyte);

    clearInterval(sampling);
    for (const [index, peak] of peaks.entries()) {
      const growth = peak - (before[index] as number);
      t.ok(growth < mostGrowth, `grew by ${(growth / 1024 ** 2).toFixed(1)} MiB`);
    }
  });

  t.test('bodies that travel side by side, some to slow readers, keep their own bytes', async (t) => {
    const bytes = 24 * 1024 ** 2;
    const agent = false;
    const upload = async (number: number) => {
      const body = Buffer.alloc(bytes, `body number ${number}, `);
      const headers = number % 2 === 0 ? { 'content-length': bytes } : {};
      const options = {
        host: '127.0.0.1',
        port: toWorker,
        method: 'POST',
        path: '/api/upload',
        headers,
        agent,
      };
      const sent = request(options);
      const answered = once(sent, 'response');
      for (let at = 0; at < bytes; at += 300_000) {
        if (!sent.write(body.subarray(at, at + 300_000))) await once(sent, 'drain');
      }
      sent.end();
      const [response] = await answered;
      let text = '';
      for await (const part of response) text += part;
      const sha256 = createHash('sha256').update(body).digest('hex');
      t.strictSame(JSON.parse(text), { bytes, sha256 }, `upload ${number}`);
    };
    const download = async (number: number) => {
      const words = `answer number ${number}, `;
      const path = `/api/download?bytes=${bytes}&text=${encodeURIComponent(words)}`;
      const sent = request({ host: '127.0.0.1', port: toWorker, path, agent }).end();
      const [response] = await once(sent, 'response');
      const hash = createHash('sha256');
      let parts = 0;
      for await (const part of response) {
        hash.update(part);
        // A reader that stops now and then leaves writes under way in both sidecars.
        if (number % 2 === 0 && ++parts % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      }
      const expected = createHash('sha256').update(Buffer.alloc(bytes, words)).digest('hex');
      t.equal(hash.digest('hex'), expected, `download ${number}`);
    };
    await Promise.all([0, 1, 2, 3].flatMap((number) => [upload(number), download(number)]));
  });

  t.test('after a swap the enforcing binary refuses what the logging one reported', async (t) => {
    const swapped = await fleet.swapTo('enforcing');
    t.match(swapped, [{ phase: 'enforcing', ms: Number }, { ms: Number }, { ms: Number }]);
    const refused = await httpCall(npu.inbound, unsigned);
    t.equal(refused.status, 401);
    t.match(refused.headers, {
      'content-type': /^application\/problem\+json/,
      'www-authenticate': 'Signature realm="countersign"',
    });
    t.match(JSON.parse(refused.text), { status: 401, reason: 'missing-signature', request_id: String });
    const signed = await httpCall(backend.outbound, { ...unsigned, target: 'http://npu-worker/api/process' });
    t.match(JSON.parse(signed.text), { caller: 'main-backend' }, 'signed calls go on');
    const health = await httpCall(npu.inbound, { target: '/api/health' });
    t.equal(health.status, 200, 'a public route needs no signature');
    const beyond = await httpCall(ai.outbound, { target: 'http://npu-worker/api/status/x' });
    t.match(JSON.parse(beyond.text), { status: 403, reason: 'not-authorized' });

    const watch = new Watch(fleet.services, (name) => fleet.phaseOf(name));
    t.match(
      (await watch.activity()).map(({ phase, denials }) => [phase, denials]),
      [
        ['enforcing', 0],
        ['enforcing', 2],
        ['enforcing', 0],
      ],
    );
    t.strictSame(
      (await watch.newDenials()).map(({ reason }) => reason),
      ['missing-signature', 'not-authorized'],
    );
    t.strictSame(await watch.newDenials(), [], 'each denial is told once');
    await fleet.swapTo('logging');
    t.equal((await httpCall(npu.inbound, unsigned)).status, 200, 'and back');
  });
});

async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}
