import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import net from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import { build, dist } from '../../../tools/build.ts';
import { modelsFile } from '../../support/core-service.ts';
import { answerWith, lastText, ModelServer } from '../../support/model-server.ts';
import { tempFolder } from '../../support/temp-folder.ts';

interface BindOnly {
  _createServerHandle(host: string, port: 0, family: 4): Handle;
}
interface Handle {
  readonly fd: number;
  getsockname(out: { port?: number }): void;
  close(): void;
}

t.before(() => build(['countersign-core']));

interface Held {
  readonly port: number;
  readonly model: ModelServer;
  /** Starts a process on the held socket; resolves when it serves. */
  start(): Promise<ChildProcess>;
}

/** A listening socket that outlives the processes, as the one of a .socket unit. */
async function held(t: Test): Promise<Held> {
  // Bound and not accepted on; net.Server would accept as well.
  const handle = (net as unknown as BindOnly)._createServerHandle('127.0.0.1', 0, 4);
  t.teardown(() => handle.close());
  const name: { port?: number } = {};
  handle.getsockname(name);
  const model = new ModelServer();
  const { port: outbound } = await model.listen();
  t.teardown(() => model.close());
  const config = join(await tempFolder(t), 'core.yaml');
  await writeFile(
    config,
    `listen: 127.0.0.1:${name.port}
redis: { url: "redis://127.0.0.1:1" }
sqlite: core.db
files: files
outbound: 127.0.0.1:${outbound}
models: { file: ${modelsFile} }
timeouts: { drain: 2s }
`,
  );
  const words = ['-c', 'LISTEN_PID=$$ exec "$0" "$@"', join(dist, 'countersign-core'), '--config', config];
  return {
    port: name.port as number,
    model,
    async start() {
      const child = spawn('sh', words, {
        stdio: ['ignore', 'pipe', 'inherit', handle.fd],
        env: { PATH: process.env.PATH, LISTEN_FDS: '1', LISTEN_FDNAMES: 'core' },
      });
      t.teardown(() => child.kill('SIGKILL'));
      const stdout = child.stdout as Readable;
      for await (const line of createInterface({ input: stdout })) {
        if (!line.includes('"listening"')) continue;
        t.match(line, '"inherited":true');
        stdout.resume();
        return child;
      }
      throw new Error('countersign-core ended before it listened');
    },
  };
}

/** One turn; the status and the text of the answer. */
async function ask(port: number, agent: Agent | false, session: string, stream: boolean) {
  const sent = request({
    host: '127.0.0.1',
    port,
    agent,
    method: 'POST',
    path: '/v1/chat/completions',
    headers: { 'content-type': 'application/json', 'x-session-id': session },
  });
  sent.end(JSON.stringify({ messages: [{ role: 'user', content: 'hi' }], stream }));
  const [response] = await once(sent, 'response');
  return { status: response.statusCode as number, body: await text(response) };
}

t.test('a restart under load refuses no call and cuts no answer', async (t) => {
  const { port, model, start } = await held(t);
  model.behaviour = (call) => void setTimeout(() => answerWith(call, `re ${lastText(call)}`), 5);
  let child = await start();
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  t.teardown(() => agent.destroy());
  let restarting = true;
  let answered = 0;
  let enough = () => {};
  const failures: string[] = [];
  const clients = Array.from({ length: 12 }, async (_, index) => {
    const stream = index % 2 === 0;
    while (restarting) {
      try {
        // Connections that are kept, and a new one for each call.
        const { status, body } = await ask(port, index < 6 && agent, `s${index}`, stream);
        if (status !== 200 || !body.includes(stream ? 'data: [DONE]' : '"finish_reason":"stop"'))
          failures.push(`${status}: ${body}`);
      } catch (error) {
        failures.push(String(error));
      }
      answered++;
      enough();
    }
  });
  const more = (count: number) =>
    new Promise<void>((resolve) => {
      const until = answered + count;
      enough = () => {
        if (answered >= until) resolve();
      };
    });
  for (let round = 0; round < 3; round++) {
    await more(40);
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    t.strictSame(await ended, [0, null]);
    child = await start();
  }
  await more(40);
  restarting = false;
  await Promise.all(clients);
  t.strictSame(failures, []);
});

t.test('a turn that outlasts the drain goes on from what the next process has of it', async (t) => {
  const { port, model, start } = await held(t);
  const child = await start();
  model.behaviour = (call) => call.chunk({ content: 'Once upon a time' });
  const called = model.nextCall();
  const first = ask(port, false, 'long', true);
  await called;
  const silent = net.connect(port, '127.0.0.1').on('error', () => {});
  await once(silent, 'connect');
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const { body } = await first;
  t.match(body, /"code":"shutting_down"/);
  t.strictSame(await ended, [0, null], 'a connection that never says anything holds nothing up');
  const id = /id: (\S+)\n[^\n]*Once upon/.exec(body)?.[1] as string;
  // It waits in the backlog until the next process serves.
  const resumed = fetch(`http://127.0.0.1:${port}/api/chats/long/stream`, {
    headers: { 'last-event-id': id.replace(/:\d+$/, ':5') },
  });
  await start();
  t.match(await (await resumed).text(), /upon a time/);
});
