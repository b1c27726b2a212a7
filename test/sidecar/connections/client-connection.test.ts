import type { Socket } from 'node:net';
import t, { type Test } from 'tap';
import { ClientCall } from '../../../sidecar/connections/client-call.ts';
import { ClientConnection, type ConnectionPool } from '../../../sidecar/connections/client-connection.ts';
import type { CalleeEvents, HowToSend, Loss } from '../../../sidecar/exchange/ends.ts';
import { FieldSection } from '../../../sidecar/http1/field-section.ts';
import type { RequestToSend } from '../../../sidecar/http1/outgoing-message.ts';
import { ok, rawApp } from '../../support/raw-app.ts';

const timeouts = { connect: 60_000, idle: 60_000, response: 60_000, tunnel_idle: 60_000 };
const get: RequestToSend = {
  method: 'GET',
  target: '/',
  fields: new FieldSection().add('Host', 'app'),
  framing: 'none',
  length: 0,
  upgrade: false,
};
const post: RequestToSend = { ...get, method: 'POST', framing: 'length', length: 10 };

/** What becomes of one connection, and of the calls on it. */
class Watched implements ConnectionPool {
  readonly address = '127.0.0.1';
  readonly port: number;
  inFlight = 0;
  readonly said: string[] = [];
  #wake: () => void = () => {};

  constructor(port: number) {
    this.port = port;
  }

  say(word: string): void {
    this.said.push(word);
    this.#wake();
  }

  async until(word: string): Promise<void> {
    while (!this.said.includes(word))
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
  }

  call(name: string, how: HowToSend, request = get): ClientCall {
    const events = {
      responseProgress: { writableLength: 0, bytesWritten: 0, destroyed: false },
      onConnected() {},
      onInterim() {},
      takes: () => true,
      onResponse: (_head: unknown, _whole: boolean, buffer: Buffer, start: number, end: number) =>
        this.say(`${name}: ${buffer.latin1Slice(start, end)}`),
      onResponsePiece() {},
      onResponseEnd() {},
      onResponseComplete: () => 0,
      onLost: (loss: Loss) => this.say(`${name}: ${loss.kind}`),
      onCalleeDrain() {},
    } as unknown as CalleeEvents;
    return new ClientCall(request, undefined, how, events);
  }

  onConnected() {
    this.say('connected');
  }
  onUnreachable() {}
  onUnproven() {}
  onClosed() {
    this.say('closed');
  }
  onAnswer() {}
  onDelay() {}
  giveBack() {
    this.say('ready');
  }
  forget() {}
}

/** A connection that is open, and its other end. */
async function opened(t: Test): Promise<{ connection: ClientConnection; watched: Watched; peer: Socket }> {
  const accepted = Promise.withResolvers<Socket>();
  const watched = new Watched(await rawApp(t, (socket) => accepted.resolve(socket)));
  const connection = new ClientConnection(watched, timeouts, undefined);
  t.teardown(() => connection.close());
  await watched.until('ready');
  watched.said.length = 0;
  return { connection, watched, peer: await accepted.promise };
}

t.test('is not used again when the response came before the whole request was sent', async (t) => {
  const { connection, watched, peer } = await opened(t);
  const call = watched.call('post', 'streamed', post);
  connection.begin(call);
  call.write(Buffer.from('half'), 0, 4);
  peer.write(ok('enough'));
  await watched.until('closed');
  t.strictSame(watched.said, ['post: enough', 'closed'], 'what is still missing would be read as a request');
});

t.test('is used again when the request was sent as a whole', async (t) => {
  const { connection, watched, peer } = await opened(t);
  const call = watched.call('post', 'streamed', post);
  connection.begin(call);
  call.write(Buffer.from('0123456789'), 0, 10);
  call.end(undefined);
  peer.write(ok('enough'));
  await watched.until('ready');
  t.strictSame(watched.said, ['post: enough', 'ready']);
});

t.test('drops the responses of displaced requests before it is used again', async (t) => {
  const { connection, watched, peer } = await opened(t);
  connection.share([watched.call('first', 'shareable'), watched.call('second', 'shareable')]);
  t.equal(watched.inFlight, 2);
  connection.disband();
  t.strictSame(watched.said, ['second: displaced']);
  peer.write(ok('1'));
  await watched.until('first: 1');
  t.strictSame(watched.said, ['second: displaced', 'first: 1'], 'it is not ready while a response is due');
  peer.write(ok('2'));
  await watched.until('ready');
  connection.begin(watched.call('third', 'alone'));
  peer.write(ok('3'));
  await watched.until('third: 3');
  t.notOk(
    watched.said.some((word) => word.endsWith(': 2')),
    'no one gets the response of another request',
  );
});

t.test('drops responses that come in the same read as the one before them', async (t) => {
  const { connection, watched, peer } = await opened(t);
  connection.share(['first', 'second', 'third'].map((name) => watched.call(name, 'shareable')) as never);
  connection.disband();
  watched.said.length = 0;
  peer.write(ok('1') + ok('2') + ok('3'));
  await watched.until('ready');
  t.strictSame(watched.said, ['first: 1', 'ready']);
  t.equal(watched.inFlight, 0);
});

t.test('closes when a displaced response can’t be dropped', async (t) => {
  const { connection, watched, peer } = await opened(t);
  connection.share([watched.call('first', 'shareable'), watched.call('second', 'shareable')]);
  connection.disband();
  peer.write(`${ok('1')}HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n`);
  await watched.until('closed');
  t.notOk(watched.said.includes('ready'));
});

t.test('closes on bytes that no one asked for', async (t) => {
  const { watched, peer } = await opened(t);
  peer.write(ok('poison'));
  await watched.until('closed');
  t.strictSame(watched.said, ['closed']);
});
