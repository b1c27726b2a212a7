import type { Socket } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { ok, onHead } from '../../support/raw-app.ts';
import { RawClient, type RawResponse } from '../../support/raw-http.ts';
import { reset, sealedApp } from '../../support/sealed-app.ts';
import { freePorts, type SidecarProcess, startSidecar, writeFleet } from '../../support/sidecar-process.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const matrix = 'services:\n  npu-worker:\n    callers:\n      main-backend: [ "* /**" ]\n';

/** A request as it came to the peer: on which connection, as which one there. */
interface Arrival {
  readonly path: string;
  readonly method: string;
  readonly nonce: string;
  readonly connection: number;
  /** How many requests came in the same read before it. */
  readonly behind: number;
}

type Script = (arrival: Arrival, socket: Socket) => void;

const answer: Script = ({ path }, socket) => void socket.write(ok(path));

/** A burst of calls, one of each client. */
interface Burst {
  readonly paths: readonly string[];
  /** By client. */
  readonly responses: readonly Promise<RawResponse>[];
}

/** Main-backend's sidecar, whose callee the test plays itself. */
class Stage {
  readonly clients: RawClient[] = [];
  /** Of the present burst. */
  arrivals: Arrival[] = [];
  script: Script = answer;
  readonly #sidecar: SidecarProcess;
  #onArrival: () => void = () => {};

  private constructor(sidecar: SidecarProcess) {
    this.#sidecar = sidecar;
  }

  static async open(t: Test, limits = ''): Promise<Stage> {
    let stage: Stage | undefined;
    let connections = 0;
    const folder = await tempFolder(t);
    const keyring = () => join(folder, 'main-backend/keyring.json');
    const port = await sealedApp(t, keyring, (socket) => {
      socket.setNoDelay(true);
      const connection = connections++;
      let inThisRead = 0;
      onHead(socket, (head) => {
        if (inThisRead === 0) setImmediate(() => (inThisRead = 0));
        const [, method, path] = /^(\S+) (\S+) /.exec(head) as unknown as [string, string, string];
        const nonce = /nonce="([^"]+)"/.exec(head)?.[1] ?? '';
        const arrival = { path, method, nonce, connection, behind: inThisRead++ };
        if (stage === undefined) return;
        stage.arrivals.push(arrival);
        stage.script(arrival, socket);
        stage.#onArrival();
      });
    });
    const [outbound, inbound, admin] = (await freePorts(3)) as [number, number, number];
    await writeFleet(
      folder,
      { 'npu-worker': { inbound: port, app: 1 }, 'main-backend': { inbound, app: 2 } },
      matrix,
    );
    const sidecar = await startSidecar(t, {
      phase: 'enforcing',
      folder: join(folder, 'main-backend'),
      service: 'main-backend',
      ports: { outbound, inbound, admin },
      app: 2,
      further: `timeouts: { response: 5s, drain: 5s }\n${limits}`,
    });
    stage = new Stage(sidecar);
    for (let i = 0; i < 40; i++) stage.clients.push(await RawClient.connect(t, outbound));
    return stage;
  }

  /** Sends one request of each client, all there before the sidecar reads any. */
  send(request: (path: string) => string): string[] {
    this.arrivals = [];
    this.#sidecar.child.kill('SIGSTOP');
    const paths = this.clients.map((_, i) => `/call/${i}`);
    for (const [i, client] of this.clients.entries()) client.write(request(paths[i] as string));
    this.#sidecar.child.kill('SIGCONT');
    return paths;
  }

  burst(request = get): Burst {
    return { paths: this.send(request), responses: this.clients.map((client) => client.response()) };
  }

  /**
   * Bursts until something has come about: requests share connections once the callee was quick for a while, which
   * takes as long as it takes.
   */
  async burstUntil(isSo: () => boolean, request = get): Promise<Burst> {
    for (;;) {
      const burst = this.burst(request);
      const happened = new Promise<void>((resolve) => {
        this.#onArrival = () => isSo() && resolve();
      });
      await Promise.race([happened, Promise.all(burst.responses)]);
      if (isSo()) return burst;
    }
  }

  /** Those that came behind another one in the same read. */
  get shared(): Arrival[] {
    return this.arrivals.filter(({ behind }) => behind > 0);
  }
}

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: npu-worker\r\n\r\n`;
const override = (path: string) =>
  `GET ${path} HTTP/1.1\r\nHost: npu-worker\r\nX-HTTP-Method-Override: DELETE\r\n\r\n`;
const post = (path: string) => `POST ${path} HTTP/1.1\r\nHost: npu-worker\r\nContent-Length: 2\r\n\r\nhi`;

/** Each client, but one, gets the answer to its own request, as the peer names it in the body. */
async function ownAnswers(t: Test, { paths, responses }: Burst, but?: string): Promise<void> {
  const others = paths.flatMap((path, i) => (path === but ? [] : [{ path, response: responses[i]! }]));
  const got = await Promise.all(others.map(({ response }) => response));
  t.strictSame(
    got.map(({ status, body }) => `${status} ${body.trimEnd()}`),
    others.map(({ path }) => `200 ${path}`),
    'every client gets the answer to its own request',
  );
}

function noncesAreUnique(t: Test, { arrivals }: Stage): void {
  t.equal(new Set(arrivals.map(({ nonce }) => nonce)).size, arrivals.length, 'no signature is sent twice');
}

t.test('safe requests of one turn share connections', async (t) => {
  const stage = await Stage.open(t);
  await ownAnswers(t, await stage.burstUntil(() => stage.shared.length >= 20));
  t.equal(stage.arrivals.length, stage.clients.length);
  t.ok(Math.max(...stage.shared.map(({ behind }) => behind)) <= 7, 'never more than eight together');
  noncesAreUnique(t, stage);
});

t.test('HEAD shares too, and its answer has no body', async (t) => {
  const stage = await Stage.open(t);
  await stage.burstUntil(() => stage.shared.length >= 20).then(({ responses }) => Promise.all(responses));
  stage.script = ({ path, method }, socket) =>
    void socket.write(method === 'HEAD' ? ok(path).slice(0, -path.length) : ok(path));
  for (let round = 0; round < 5; round++) {
    const paths = stage.send((path) => (path.endsWith('1') ? get(path).replace('GET', 'HEAD') : get(path)));
    for (const [i, client] of stage.clients.entries()) {
      const path = paths[i]!;
      const end = path.endsWith('1') ? '\r\n\r\n' : `\r\n\r\n${path}`;
      t.ok((await client.until((text) => text.endsWith(end))).endsWith(end));
      client.received = Buffer.alloc(0);
    }
  }
});

t.test('what is not safe has a connection of its own', async (t) => {
  const stage = await Stage.open(t);
  await ownAnswers(t, await stage.burstUntil(() => stage.shared.length >= 20));
  for (const request of [post, override]) {
    await ownAnswers(t, stage.burst(request));
    t.equal(stage.shared.length, 0);
  }
});

t.test('nobody waits for long behind a slow answer, and late answers are nobody’s', async (t) => {
  const stage = await Stage.open(t);
  // The second one of a shared connection is slow, and with it all that follow there.
  let slow: Arrival | undefined;
  const late: (() => void)[] = [];
  stage.script = (arrival, socket) => {
    if (arrival.behind === 1) slow ??= arrival;
    if (arrival === slow) late.push(() => socket.write(ok('slow')));
    else if (arrival.connection === slow?.connection) late.push(() => socket.write(ok('STALE')));
    else answer(arrival, socket);
  };
  const burst = await stage.burstUntil(() => slow !== undefined);
  await ownAnswers(t, burst, slow?.path);
  t.ok(late.length > 1, `${late.length - 1} would have waited behind it`);
  for (const send of late) send();
  const own = await burst.responses[burst.paths.indexOf(slow!.path)];
  t.equal(own?.body, 'slow', 'the slow answer comes when it comes');
  noncesAreUnique(t, stage);
  stage.script = answer;
  for (let i = 0; i < 5; i++) await ownAnswers(t, stage.burst());
});

t.test('nobody waits behind an answer that streams, and nothing is left running at the callee', async (t) => {
  const stage = await Stage.open(t);
  let streaming: Arrival | undefined;
  const streams: Socket[] = [];
  const ended: Promise<unknown>[] = [];
  stage.script = (arrival, socket) => {
    if (arrival.behind === 1) streaming ??= arrival;
    if (arrival.path === streaming?.path) {
      streams.push(socket);
      ended.push(new Promise((resolve) => socket.once('close', resolve)));
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n');
    } else if (arrival.connection !== streaming?.connection) answer(arrival, socket);
  };
  const burst = await stage.burstUntil(() => streaming !== undefined);
  await ownAnswers(t, burst, streaming?.path);
  await ended[0];
  const client = stage.clients[burst.paths.indexOf(streaming!.path)]!;
  await client.until((text) => text.includes('first'));
  t.equal(streams.length, 2, 'the stream began anew, by itself');
  streams[1]!.write('4\r\nlast\r\n0\r\n\r\n');
  const text = await client.until((text) => text.endsWith('0\r\n\r\n'));
  t.equal(text.split('first').length - 1, 1, 'of the first attempt nothing was passed on');
  noncesAreUnique(t, stage);
  stage.script = answer;
  client.received = Buffer.alloc(0);
  for (let i = 0; i < 5; i++) await ownAnswers(t, stage.burst());
});

t.test('an answer of some length goes on where it began', async (t) => {
  const stage = await Stage.open(t);
  let long: Arrival | undefined;
  let rest: (() => void) | undefined;
  stage.script = (arrival, socket) => {
    if (arrival.behind === 1) long ??= arrival;
    if (arrival === long) {
      const text = ok(arrival.path.padEnd(200_000));
      socket.write(text.slice(0, 1000));
      rest = () => socket.write(text.slice(1000) + ok('STALE'));
    } else if (arrival.connection !== long?.connection) answer(arrival, socket);
  };
  const burst = await stage.burstUntil(() => long !== undefined);
  await ownAnswers(t, burst, long?.path);
  rest?.();
  await ownAnswers(t, burst);
  t.equal(stage.arrivals.filter(({ path }) => path === long?.path).length, 1);
  stage.script = answer;
  for (let i = 0; i < 5; i++) await ownAnswers(t, stage.burst());
});

t.test('answers that come in pieces', async (t) => {
  const stage = await Stage.open(t);
  await ownAnswers(t, await stage.burstUntil(() => stage.shared.length >= 20));
  // In order on each connection, cut at a place of its own each.
  const last = new Map<Socket, Promise<void>>();
  stage.script = ({ path }, socket) => {
    const text = ok(path);
    const cut = 1 + ((Number(path.slice(6)) * 7) % (text.length - 1));
    const before = last.get(socket) ?? Promise.resolve();
    const both = before.then(async () => {
      socket.write(text.slice(0, cut));
      await new Promise((resolve) => setImmediate(resolve));
      socket.write(text.slice(cut));
    });
    last.set(socket, both);
  };
  for (let i = 0; i < 10; i++) await ownAnswers(t, stage.burst());
});

t.test('long answers that reads cut are waited for', async (t) => {
  const stage = await Stage.open(t);
  stage.script = ({ path }, socket) => void socket.write(ok(path.padEnd(15_000)));
  let undisturbed = 0;
  for (let i = 0; i < 10; i++) {
    await ownAnswers(t, await stage.burstUntil(() => stage.shared.length >= 20));
    if (stage.arrivals.length === stage.clients.length) undisturbed++;
  }
  // A machine that is busy may have one or another wait for too long.
  t.ok(undisturbed >= 5, `${undisturbed} of 10 times nobody was sent anew`);
});

const ends: Readonly<Record<string, Script>> = {
  'says that it closes': ({ path }, socket) => void socket.end(ok(path, 'Connection: close\r\n')),
  closes: ({ path }, socket) => void socket.end(ok(path)),
  'resets the connection': (_, socket) => reset(socket),
};
for (const [what, end] of Object.entries(ends)) {
  t.test(`the peer ${what} in the middle: no call is lost`, async (t) => {
    const stage = await Stage.open(t);
    let broken: Arrival | undefined;
    stage.script = (arrival, socket) => {
      if (arrival.behind === 2 && broken === undefined) {
        broken = arrival;
        end(arrival, socket);
      } else if (arrival.connection !== broken?.connection) answer(arrival, socket);
    };
    await ownAnswers(t, await stage.burstUntil(() => broken !== undefined));
    noncesAreUnique(t, stage);
  });
}

t.test('the peer talks nonsense in the middle: only the call that it answers so is lost', async (t) => {
  const stage = await Stage.open(t);
  let broken: Arrival | undefined;
  stage.script = (arrival, socket) => {
    if (arrival.behind === 2 && broken === undefined) {
      broken = arrival;
      socket.write('nonsense\r\n\r\n');
    } else if (arrival.connection !== broken?.connection) answer(arrival, socket);
  };
  const burst = await stage.burstUntil(() => broken !== undefined);
  await ownAnswers(t, burst, broken?.path);
  t.equal((await burst.responses[burst.paths.indexOf(broken!.path)])?.reason, 'upstream-failed');
});

t.test('a client that goes takes nobody with it', async (t) => {
  const stage = await Stage.open(t);
  let gone: Arrival | undefined;
  const pending: (() => void)[] = [];
  stage.script = (arrival, socket) => {
    if (arrival.behind === 2) gone ??= arrival;
    if (arrival.connection === gone?.connection) pending.push(() => answer(arrival, socket));
    else answer(arrival, socket);
  };
  const burst = await stage.burstUntil(() => gone !== undefined);
  stage.clients[burst.paths.indexOf(gone!.path)]!.socket.resetAndDestroy();
  await ownAnswers(t, burst, gone?.path);
  for (const send of pending) send();
  t.ok(stage.arrivals.length > stage.clients.length, 'those on its connection were sent anew');
  noncesAreUnique(t, stage);
});

t.test('a call with as many fields as there may be is sent anew, too', async (t) => {
  const stage = await Stage.open(t, 'limits: { headers: 1000 }');
  let broken: Arrival | undefined;
  stage.script = (arrival, socket) => {
    if (arrival.behind === 2 && broken === undefined) {
      broken = arrival;
      reset(socket);
    } else if (arrival.connection !== broken?.connection) answer(arrival, socket);
  };
  const full = (path: string) => `GET ${path} HTTP/1.1\r\nHost: npu-worker\r\n${'a: b\r\n'.repeat(999)}\r\n`;
  await ownAnswers(t, await stage.burstUntil(() => broken !== undefined, full));
});
