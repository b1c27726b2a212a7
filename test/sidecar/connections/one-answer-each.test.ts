import { writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type LocalDataPath, startDataPath } from '../../support/data-path.ts';
import { ok, onHead, rawApp } from '../../support/raw-app.ts';
import { RawClient } from '../../support/raw-http.ts';
import { sealedApp } from '../../support/sealed-app.ts';

const authorization = `services:
  npu-worker:
    public: [ "* /**" ]
    callers: {}
`;

/** A request that is at the app. */
interface Call {
  readonly line: string;
  readonly socket: Socket;
}

/** The inbound side of npu-worker before an app whose answers the test gives. */
class Stage {
  readonly calls: Call[] = [];
  /** Every byte of each connection to the app. */
  readonly texts = new Map<Socket, string>();
  readonly closed = new Set<Socket>();
  path!: LocalDataPath;
  #waiting: (() => void)[] = [];

  static async open(t: Test): Promise<Stage> {
    const stage = new Stage();
    const app = await rawApp(t, (socket) => {
      stage.texts.set(socket, '');
      socket.on('data', (piece: Buffer) => {
        stage.texts.set(socket, stage.texts.get(socket) + piece.toString('latin1'));
        stage.#changed();
      });
      socket.on('end', () => {
        stage.closed.add(socket);
        stage.#changed();
      });
      onHead(socket, (head) => {
        stage.calls.push({ line: head.slice(0, head.indexOf(' HTTP/')), socket });
        stage.#changed();
      });
    });
    stage.path = await startDataPath(t, { app, authorization });
    return stage;
  }

  #changed(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async until(reached: () => boolean): Promise<void> {
    while (!reached()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  get lines(): string[] {
    return this.calls.map(({ line }) => line);
  }
}

const request = (line: string, fields = '') => `${line} HTTP/1.1\r\nHost: npu-worker\r\n${fields}\r\n`;

t.test('attack: a request that is not safe never runs beside another one, body or no body', async (t) => {
  for (const unsafe of ['DELETE /x', 'POST /x', 'PUT /x', 'PATCH /x', 'PURGE /x']) {
    const stage = await Stage.open(t);
    const client = await RawClient.connect(t, stage.path.inbound);
    client.write(request('GET /1') + request(unsafe) + request('GET /2') + request('GET /3'));
    await stage.until(() => stage.calls.length >= 1);
    // A request of another client makes the whole way meanwhile: what ran ahead would be there as well.
    const other = await RawClient.connect(t, stage.path.inbound);
    const makesItsWay = async (path: string) => {
      other.write(request(`GET ${path}`));
      await stage.until(() => stage.lines.includes(`GET ${path}`));
      stage.calls.find(({ line }) => line === `GET ${path}`)!.socket.write(ok());
      await other.response();
    };
    await makesItsWay('/other-1');
    t.strictSame(stage.lines, ['GET /1', 'GET /other-1'], `${unsafe} waits for what is before it`);
    stage.calls[0]!.socket.write(ok('1'));
    t.equal((await client.response()).body, '1');
    await stage.until(() => stage.lines.includes(unsafe));
    await makesItsWay('/other-2');
    t.strictSame(stage.lines.slice(2), [unsafe, 'GET /other-2'], `what follows waits for ${unsafe}`);
    stage.calls[2]!.socket.write(ok('x'));
    t.equal((await client.response()).body, 'x');
    await stage.until(() => stage.lines.includes('GET /3'));
    for (const { line, socket } of stage.calls.slice(4).reverse()) socket.write(ok(line));
    t.equal((await client.response()).body, 'GET /2');
    t.equal((await client.response()).body, 'GET /3');
  }
});

const smuggled = request('GET /smuggled');

t.test('attack: behind an early answer, the rest of the body is no request, for nobody', async (t) => {
  for (const framing of ['length', 'chunked'] as const) {
    for (const together of [false, true]) {
      const stage = await Stage.open(t);
      const client = await RawClient.connect(t, stage.path.inbound);
      const begun = framing === 'length' ? 'begun' : '5\r\nbegun\r\n';
      const length = begun.length + smuggled.length;
      // Longer than what is held until it is whole: it is passed on as it comes.
      const fields =
        framing === 'length' ? `Content-Length: ${length}\r\n` : 'Transfer-Encoding: chunked\r\n';
      client.write(request('POST /early', fields) + begun);
      await stage.until(() => [...stage.texts.values()].some((text) => text.includes('begun')));
      const { socket } = stage.calls[0]!;
      socket.write(ok('early'));
      const answer = await client.response();
      t.equal(answer.body, 'early');
      t.match(answer.head, /^Connection: close\r?$/im, 'the client is told that nothing follows');
      client.write(together ? smuggled + smuggled : smuggled);
      t.equal(await client.until((text) => text !== ''), '', 'and nothing does');

      // The app's side of it is never used again either.
      const next = await RawClient.connect(t, stage.path.inbound);
      next.write(request('GET /next'));
      await stage.until(() => stage.lines.includes('GET /next'));
      const call = stage.calls.find(({ line }) => line === 'GET /next')!;
      t.not(call.socket, socket, 'the next request has another connection');
      call.socket.write(ok('next'));
      t.equal((await next.response()).body, 'next');
      await stage.until(() => stage.closed.has(socket));
      t.notOk([...stage.texts.values()].some((text) => text.includes('/smuggled')));
    }
  }
});

t.test('a connection is used again after an answer only where both ends know that it may', async (t) => {
  const cases: readonly (readonly [string, boolean, string])[] = [
    ['HTTP/1.1', true, ok()],
    ['HTTP/1.1, close', false, ok('ok', 'Connection: close\r\n')],
    ['HTTP/1.0', false, ok().replace('HTTP/1.1', 'HTTP/1.0')],
    ['HTTP/1.0, close', false, ok('ok', 'Connection: close\r\n').replace('HTTP/1.1', 'HTTP/1.0')],
    ['more than the answer', false, `${ok()}HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nSTALE`],
  ];
  for (const [name, isUsedAgain, answer] of cases) {
    const stage = await Stage.open(t);
    const client = await RawClient.connect(t, stage.path.inbound);
    const sockets: Socket[] = [];
    for (let n = 0; n < 2; n++) {
      client.write(request(`GET /${n}`));
      await stage.until(() => stage.calls.length === n + 1);
      const { socket } = stage.calls[n]!;
      sockets.push(socket);
      socket.write(answer);
      t.equal((await client.response()).body, 'ok', name);
    }
    t.equal(sockets[0] === sockets[1], isUsedAgain, name);
  }
});

t.test('attack: an answer that nobody asked for closes an idle connection and reaches nobody', async (t) => {
  const stage = await Stage.open(t);
  const client = await RawClient.connect(t, stage.path.inbound);
  client.write(request('GET /1'));
  await stage.until(() => stage.calls.length === 1);
  const { socket } = stage.calls[0]!;
  socket.write(ok('1'));
  t.equal((await client.response()).body, '1');
  socket.write(ok('STALE'));
  await stage.until(() => stage.closed.has(socket));
  client.write(request('GET /2'));
  await stage.until(() => stage.calls.length === 2);
  stage.calls[1]!.socket.write(ok('2'));
  t.equal((await client.response()).body, '2');
});

t.test(
  'attack: a shared connection on which an answer was given up serves no request before that answer has come',
  async (t) => {
    type Arrival = { path: string; socket: Socket; connection: number; behind: number };
    const arrivals: Arrival[] = [];
    let onArrival: (arrival: Arrival) => void = ({ socket, path }) => void socket.write(ok(path));
    let connections = 0;
    const keyringFile = join(t.testdir({}), 'keyring.json');
    const callee = await sealedApp(
      t,
      () => keyringFile,
      (socket) => {
        const connection = connections++;
        let inThisRead = 0;
        onHead(socket, (head) => {
          if (inThisRead === 0) setImmediate(() => (inThisRead = 0));
          const arrival = { path: head.split(' ', 2)[1] as string, socket, connection, behind: inThisRead++ };
          arrivals.push(arrival);
          onArrival(arrival);
        });
      },
    );
    const { outbound, keyring } = await startDataPath(t, { service: 'main-backend', callee, authorization });
    await writeFile(keyringFile, JSON.stringify(keyring));
    const clients = await Promise.all(Array.from({ length: 40 }, () => RawClient.connect(t, outbound)));
    const burst = () => {
      arrivals.length = 0;
      for (const [i, client] of clients.entries()) client.write(request(`GET /call/${i}`));
      return clients.map((client) => client.response());
    };
    // Requests share connections once the callee has been quick for a while.
    while (!arrivals.some(({ behind }) => behind > 0)) await Promise.all(burst());

    for (const late of ['one by one', 'with the next request'] as const) {
      let slow: Arrival | undefined;
      const stale: Arrival[] = [];
      onArrival = (arrival) => {
        if (arrival.behind === 1) slow ??= arrival;
        if (arrival.connection !== slow?.connection) arrival.socket.write(ok(arrival.path));
        else if (arrival !== slow) stale.push(arrival);
      };
      let responses: ReturnType<typeof burst> = [];
      while (slow === undefined) {
        await Promise.all(responses);
        responses = burst();
        await new Promise<void>((resolve) => {
          const previous = onArrival;
          onArrival = (arrival) => {
            previous(arrival);
            if (slow !== undefined || arrivals.length >= clients.length) resolve();
          };
        });
      }
      const { socket, connection, path } = slow as Arrival;
      const index = Number(path.slice('/call/'.length));
      const others = await Promise.all(responses.filter((_, i) => i !== index));
      t.ok(
        others.every(({ status }) => status === 200),
        'those behind it were retried',
      );
      // From here on each answer to the connection is a read of its own.
      socket.write(ok('slow'));
      t.equal((await responses[index])?.body, 'slow');
      let due = stale.length;
      onArrival = (arrival) => {
        if (due > 0 && arrival.connection === connection) t.fail(`${arrival.path} met the answers of others`);
        arrival.socket.write(ok(arrival.path));
      };
      if (late === 'one by one') {
        for (const _ of stale) {
          socket.write(ok('STALE'));
          due--;
          await new Promise(setImmediate);
        }
      }
      for (let round = 0; round < 3; round++) {
        const bodies = (await Promise.all(burst())).map(({ body }) => body);
        t.strictSame(
          bodies,
          clients.map((_, i) => `/call/${i}`),
          'everybody gets its own answer',
        );
      }
    }
  },
);
