import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { ok, onHead, rawApp } from '../../support/raw-app.ts';
import { RawClient } from '../../support/raw-http.ts';
import { startTarget } from '../attacks/target.ts';

/** A request that the app has got and not yet answered. */
interface Call {
  readonly path: string;
  readonly socket: Socket;
}

/** The enforcing binary before an app whose answers the test gives, when it wants. */
class Stage {
  readonly calls: Call[] = [];
  readonly gone: string[] = [];
  #wake: () => void = () => {};
  client!: RawClient;
  signed!: Awaited<ReturnType<typeof startTarget>>['signed'];
  sidecar!: Awaited<ReturnType<typeof startTarget>>['sidecar'];

  static async open(t: Test, further = ''): Promise<Stage> {
    const stage = new Stage();
    const port = await rawApp(t, (socket) => {
      let path = '';
      onHead(socket, (head) => {
        path = head.split(' ', 2)[1] as string;
        stage.calls.push({ path, socket });
        stage.#wake();
      });
      socket.on('close', () => {
        stage.gone.push(path);
        stage.#wake();
      });
    });
    const target = await startTarget(t, 'enforcing', further, port);
    stage.client = await RawClient.connect(t, target.inbound);
    stage.signed = target.signed;
    stage.sidecar = target.sidecar;
    return stage;
  }

  /** Signed requests for `/api/status/N`, as bytes. */
  requests(...numbers: readonly number[]): Buffer[] {
    return numbers.map((n) => this.signed({ target: `/api/status/${n}` }).bytes);
  }

  /** Sends all of it at once. */
  send(...pieces: readonly Buffer[]): void {
    this.client.write(Buffer.concat(pieces));
  }

  /** Waits until so many calls are with the app. */
  async withApp(count: number): Promise<void> {
    while (this.calls.length < count) await this.#next();
  }

  async hasGone(count: number): Promise<void> {
    while (this.gone.length < count) await this.#next();
  }

  #next(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Answers the call for `/api/status/N`. */
  answer(n: number, response = ok(`answer ${n}`)): void {
    const call = this.calls.find(({ path }) => path === `/api/status/${n}`);
    call?.socket.write(response);
  }
}

t.test('safe requests run side by side, and are answered in order', async (t) => {
  const stage = await Stage.open(t);
  stage.send(...stage.requests(1, 2, 3, 4, 5));
  await stage.withApp(5);
  t.equal(new Set(stage.calls.map(({ socket }) => socket)).size, 5, 'each has a connection to the app');
  for (const n of [5, 3, 2, 4, 1]) stage.answer(n);
  for (const n of [1, 2, 3, 4, 5]) t.equal((await stage.client.response()).body, `answer ${n}`);
});

t.test('heads that come in pieces', async (t) => {
  const stage = await Stage.open(t);
  const bytes = Buffer.concat(stage.requests(1, 2, 3));
  const cut = Math.floor(bytes.length / 2);
  stage.send(bytes.subarray(0, cut));
  await stage.withApp(1);
  stage.send(bytes.subarray(cut));
  await stage.withApp(3);
  for (const n of [3, 2, 1]) stage.answer(n);
  for (const n of [1, 2, 3]) t.equal((await stage.client.response()).body, `answer ${n}`);
});

t.test('not more than sixteen at a time', async (t) => {
  const stage = await Stage.open(t);
  const all = Array.from({ length: 40 }, (_, i) => i);
  stage.send(...stage.requests(...all));
  await stage.withApp(16);
  for (let n = 0; n < 16; n++) {
    t.equal(stage.calls.length, 16, 'nothing more until all of these are answered');
    stage.answer(n);
    t.equal((await stage.client.response()).body, `answer ${n}`);
  }
  for (let n = 16; n < 40; n++) {
    await stage.withApp(n + 1);
    stage.answer(n);
    t.equal((await stage.client.response()).body, `answer ${n}`);
  }
});

t.test('what is not safe waits for all before it, and what follows waits for it', async (t) => {
  const stage = await Stage.open(t);
  const post = stage.signed({ method: 'POST', target: '/api/process', body: Buffer.from('x') }).bytes;
  stage.send(...stage.requests(1, 2), post, ...stage.requests(3));
  await stage.withApp(2);
  stage.answer(2);
  stage.answer(1);
  await stage.withApp(3);
  t.strictSame(
    stage.calls.map(({ path }) => path),
    ['/api/status/1', '/api/status/2', '/api/process'],
  );
  stage.calls[2]!.socket.write(ok('posted'));
  await stage.withApp(4);
  stage.answer(3);
  for (const body of ['answer 1', 'answer 2', 'posted', 'answer 3'])
    t.equal((await stage.client.response()).body, body);
});

t.test('long and endless answers keep their place', async (t) => {
  const stage = await Stage.open(t);
  stage.send(...stage.requests(1, 2, 3, 4));
  await stage.withApp(4);
  const long = 'x'.repeat(3_000_000);
  stage.answer(3, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nanswer\r\n2\r\n 3\r\n0\r\n\r\n');
  stage.answer(2, ok(long));
  stage.answer(4);
  stage.answer(1);
  t.equal((await stage.client.response()).body, 'answer 1');
  t.ok((await stage.client.response()).body === long, 'the long one, whole');
  await stage.client.until((text) => text.includes('answer 4'));
  t.match(stage.client.text, /answer\r\n2\r\n 3\r\n0\r\n\r\nHTTP\/1\.1 200 OK(?:.|\r\n)*answer 4$/);
});

t.test('refusals keep their place', async (t) => {
  const stage = await Stage.open(t);
  const unsigned = Buffer.from('GET /api/status/9 HTTP/1.1\r\nHost: npu-worker\r\n\r\n');
  const replayed = stage.requests(2)[0]!;
  stage.send(...stage.requests(1), unsigned, replayed, replayed, ...stage.requests(3));
  await stage.withApp(3);
  for (const n of [3, 2, 1]) stage.answer(n);
  const responses = [];
  for (let i = 0; i < 5; i++) responses.push(await stage.client.response());
  t.strictSame(
    responses.map(({ reason, body }) => reason ?? body),
    ['answer 1', 'missing-signature', 'answer 2', 'replayed', 'answer 3'],
  );
});

t.test('what is malformed is told when its turn has come', async (t) => {
  const stage = await Stage.open(t);
  stage.send(...stage.requests(1), Buffer.from('GET /api/status/2 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'));
  await stage.withApp(1);
  stage.answer(1);
  t.equal((await stage.client.response()).body, 'answer 1');
  t.equal((await stage.client.response()).reason, 'malformed-request');
  t.equal(await stage.client.end(), '');
});

t.test('an app that breaks off ends the connection there', async (t) => {
  const stage = await Stage.open(t);
  stage.send(...stage.requests(1, 2, 3));
  await stage.withApp(3);
  stage.answer(1);
  stage.answer(2, 'HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\npart');
  await stage.client.until((text) => text.endsWith('part'));
  stage.calls.find(({ path }) => path === '/api/status/2')!.socket.resetAndDestroy();
  t.notMatch(await stage.client.end(), 'answer 3', 'nobody can take what follows for the rest');
});

t.test('when the client goes, the app learns it of every call', async (t) => {
  const stage = await Stage.open(t);
  stage.send(...stage.requests(1, 2, 3));
  await stage.withApp(3);
  stage.client.socket.resetAndDestroy();
  await stage.hasGone(3);
  t.strictSame(stage.gone.toSorted(), ['/api/status/1', '/api/status/2', '/api/status/3']);
});

t.test('a client that half-closes gets all its answers, and then the end', async (t) => {
  const stage = await Stage.open(t);
  stage.client.socket.end(Buffer.concat(stage.requests(1, 2, 3)));
  await stage.withApp(3);
  for (const n of [3, 2, 1]) stage.answer(n);
  const text = await stage.client.end();
  t.strictSame(text.match(/answer \d/g), ['answer 1', 'answer 2', 'answer 3']);
  t.notMatch(text.slice(0, text.indexOf('answer 2')), /connection: close/i);
});

t.test('a client that takes no answers gets no further ones', async (t) => {
  const stage = await Stage.open(t);
  const body = 'x'.repeat(16_000);
  const most = 3_000;
  stage.client.socket.pause();
  stage.send(...stage.requests(0));
  await stage.withApp(1);
  let sent = 1;
  for (; sent < most; sent++) {
    // There is always one under way.
    stage.send(...stage.requests(sent));
    const came = await Promise.race([stage.withApp(sent + 1).then(() => true), delay(1_000, false)]);
    stage.calls[sent - 1]!.socket.write(ok(body));
    if (!came) break;
  }
  t.ok(sent < most, `${sent} requests were served`);
});

t.test('an app does not hold an answer for ever that waits behind an endless one', async (t) => {
  const stage = await Stage.open(t, 'timeouts: { tunnel_idle: 1s }');
  stage.send(...stage.requests(1, 2));
  await stage.withApp(2);
  stage.answer(1, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
  stage.answer(2, ok('x'.repeat(20_000)));
  const tick = setInterval(() => stage.answer(1, '1\r\n.\r\n'), 100);
  await stage.hasGone(1);
  clearInterval(tick);
  t.strictSame(stage.gone, ['/api/status/2']);
  stage.answer(1, '0\r\n\r\n');
  const text = await stage.client.until((text) => text.includes('"request_id"'));
  t.match(text, /\.\r\n0\r\n\r\nHTTP\/1\.1 504 /, 'the refusal keeps its place');
});

t.test('a process that leaves takes up nothing more beside what is under way', async (t) => {
  const stage = await Stage.open(t);
  stage.send(...stage.requests(1));
  await stage.withApp(1);
  stage.sidecar.child.kill('SIGTERM');
  await stage.sidecar.said('handed over the replay memory');
  stage.send(...stage.requests(2));
  // Nothing is to come of it; it is there before the answer is.
  await delay(200);
  stage.answer(1);
  const text = await stage.client.end();
  t.match(text, /Connection: close\r\n\r\nanswer 1$/, 'so the client knows that it must ask another one');
});
