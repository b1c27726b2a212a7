import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { type IncomingMessage, type RequestOptions, request } from 'node:http';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import { build, dist } from '../../tools/build.ts';
import { leaveSettledState } from '../../tools/settled-state.ts';
import { type FleetCore, startFleetCore, until } from '../support/core-fleet.ts';
import { freePorts } from '../support/free-ports.ts';
import { fleetOf, fleetYaml, keyringsOf } from '../support/keyrings.ts';
import { answerWith, ModelServer } from '../support/model-server.ts';
import { PostgresServer } from '../support/postgres-server.ts';
import { tempFolder } from '../support/temp-folder.ts';

const hosts = ['127.0.0.2', '127.0.0.3', '127.0.0.4'];
const takeOverWithinMs = 10_000;
/** What the machine of the test may add to what is promised. */
const slackMs = 20_000;

t.before(() => build(['countersign-enforcing']));

interface Fleet {
  readonly cores: readonly FleetCore[];
  readonly model: ModelServer;
  readonly inbound: number;
  /** A call of `frontend` to `main-backend`, through both sidecars. */
  call(path: string, call?: Call): Promise<Answer>;
}

interface Call {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** node:http, because fetch lets nobody set Host. */
async function send(options: RequestOptions, body?: string): Promise<Answer> {
  const sent = request({ ...options, agent: false });
  // Of a connection that breaks after the head; before it, once() rejects.
  sent.on('error', () => {});
  sent.end(body);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  return { status: response.statusCode ?? 0, text: await text(response) };
}

/** The core service of `main-backend` on three hosts, each behind its own sidecar, on one PostgreSQL. */
async function fleet(t: Test): Promise<Fleet> {
  const [inbound, app, outbound, admin, ...ports] = (await freePorts(10)) as [
    number,
    number,
    number,
    number,
    ...number[],
  ];
  const model = new ModelServer();
  const { port: outboundPort } = await model.listen();
  t.teardown(() => model.close());
  const server = await PostgresServer.start(t);
  await server.createDatabase('core');
  const storage = `postgres: { url: "${server.url('core')}" }`;
  const cores = await Promise.all(
    hosts.map((host) => startFleetCore(t, { storage, outboundPort, listen: { host, port: app } })),
  );
  const described = fleetOf({ 'main-backend': hosts, frontend: ['127.0.0.1'] }, inbound, app);
  const folder = await tempFolder(t);
  await writeFile(join(folder, 'fleet.yaml'), `covered_fields: [x-end-user]\n${fleetYaml(described)}`);
  await writeFile(
    join(folder, 'authorization.yaml'),
    `services:
  main-backend:
    public: [ GET /api/chats/* ]
    callers:
      frontend: [ POST /v1/chat/completions, GET /api/chats/*, GET /api/chats/*/messages ]
`,
  );
  const sidecars = [
    { service: 'frontend', host: '127.0.0.1', outbound, admin, app: `127.0.0.1:${app}` },
    ...hosts.map((host, index) => ({
      service: 'main-backend',
      host,
      outbound: ports[2 * index] as number,
      admin: ports[2 * index + 1] as number,
      app: `${host}:${app}`,
    })),
  ];
  for (const keyring of keyringsOf(described).values()) {
    const sidecar = sidecars.find(
      ({ service, host }) => service === keyring.service && host === keyring.host,
    );
    if (sidecar === undefined) throw new Error(`no sidecar of ${keyring.service} on ${keyring.host}`);
    const place = join(folder, `${sidecar.service}-${sidecar.host}`);
    await mkdir(place);
    await leaveSettledState(join(place, 'state'));
    await writeFile(join(place, 'keyring.json'), JSON.stringify(keyring), { mode: 0o600 });
    await writeFile(
      join(place, 'sidecar.yaml'),
      `service: ${sidecar.service}
outbound: { listen: 127.0.0.1:${sidecar.outbound} }
inbound: { listen: ${sidecar.host}:${inbound}, app: ${sidecar.app} }
admin: { listen: 127.0.0.1:${sidecar.admin} }
fleet: ../fleet.yaml
authorization: ../authorization.yaml
keyring: keyring.json
state: state
`,
    );
    await startEnforcing(t, join(place, 'sidecar.yaml'));
  }
  return {
    cores,
    model,
    inbound,
    call: (path, { method = 'GET', headers = {}, body } = {}) =>
      send(
        { host: '127.0.0.1', port: outbound, path, method, headers: { host: 'main-backend', ...headers } },
        body,
      ),
  };
}

async function startEnforcing(t: Test, config: string): Promise<void> {
  const child = spawn(join(dist, 'countersign-enforcing'), ['--config', config], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  let output = '';
  await new Promise<void>((resolve) => {
    (child.stdout as Readable).setEncoding('utf8').on('data', (written: string) => {
      output += written;
      if (output.includes('"event":"ready"')) resolve();
    });
    child.once('exit', () => resolve());
  });
  if (!output.includes('"event":"ready"')) throw new Error(`the sidecar ended: ${output}`);
}

interface Shown {
  readonly role: string;
  readonly content: string;
  readonly state: string;
}

const json = { 'content-type': 'application/json' };
const say = ({ call }: Fleet, session: string, content: string, headers: Record<string, string> = {}) =>
  call('/v1/chat/completions', {
    method: 'POST',
    headers: { ...json, 'x-session-id': session, ...headers },
    body: JSON.stringify({ messages: [{ role: 'user', content }] }),
  });

void t.test('three cores behind three hosts of one service', async (t) => {
  const all = await fleet(t);
  const { cores, model, inbound, call } = all;

  await t.test('a session is one, whichever host answers', async (t) => {
    for (let turn = 0; turn < 9; turn++) t.equal((await say(all, 'shared', `${turn}`)).status, 200);
    t.equal(model.calls.at(-1)?.body.messages.length, 17, 'the last turn knew all before it');
  });

  await t.test('an end user counts only beside a proven service', async (t) => {
    const alice = { 'x-end-user': 'alice' };
    t.equal((await say(all, 'private', 'mine', alice)).status, 200);
    t.equal((await call('/api/chats/private', { headers: alice })).status, 200);
    t.equal((await call('/api/chats/private')).status, 404, 'of the service itself');
    t.equal((await call('/api/chats/private', { headers: { 'x-end-user': 'bob' } })).status, 404);
    // The route is public: a stranger reaches the core, and is nobody there.
    const stranger = { host: 'main-backend', 'x-service-id': 'frontend', ...alice };
    const options = { host: hosts[0], port: inbound, path: '/api/chats/private', headers: stranger };
    t.equal((await send(options)).status, 404);
  });

  await t.test('a core killed in mid-turn: another keeps its half answer, once', async (t) => {
    model.behaviour = (of) => of.chunk({ content: 'Once upon a time' });
    const called = model.nextCall();
    const cut = call('/v1/chat/completions', {
      method: 'POST',
      headers: { ...json, 'x-session-id': 'cut' },
      body: JSON.stringify({ stream: true, messages: [{ role: 'user', content: 'a story' }] }),
    }).catch(() => undefined);
    await called;
    const running = await runningCore(cores, 'cut');
    const killedAt = performance.now();
    await running.end('SIGKILL');
    await cut;
    model.behaviour = (of) => answerWith(of, 'there was a proxy');
    // The sidecar of the dead core says so until its host is passed over.
    await until(async () => (await say(all, 'cut', 'go on')).status === 200);
    const took = performance.now() - killedAt;
    t.ok(took < takeOverWithinMs + slackMs, `after ${Math.round(took)} ms`);
    let shown: readonly Shown[] = [];
    await until(async () => {
      const { status, text } = await call('/api/chats/cut/messages');
      if (status === 200) shown = (JSON.parse(text) as { messages: readonly Shown[] }).messages;
      return status === 200;
    });
    t.match(shown, [
      { content: 'a story' },
      { content: 'Once upon a time', state: 'interrupted' },
      { content: 'go on' },
      { content: 'there was a proxy', state: 'complete' },
    ]);
    t.equal(shown.length, 4);
  });
});

/** The core that has said something of a turn, once the text of it is noted. */
async function runningCore(cores: readonly FleetCore[], session: string): Promise<FleetCore> {
  let found: FleetCore | undefined;
  await until(async () => {
    for (const core of cores) {
      const abort = new AbortController();
      const { status } = await fetch(`${core.url}/api/chats/${session}/stream`, {
        headers: { 'x-service-id': 'frontend' },
        signal: abort.signal,
      });
      abort.abort();
      if (status === 200) found = core;
    }
    return found !== undefined;
  });
  // Streaming answers are noted every 200 ms.
  await new Promise((resolve) => setTimeout(resolve, 1000));
  return found as FleetCore;
}
