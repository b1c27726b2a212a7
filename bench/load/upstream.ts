/**
 * The app behind every peer, as cheap as one can be in Node: `node bench/load/upstream.ts`. Says `ready PORT`.
 *
 * GET /api/status/bytes-N answers N bytes, /api/status/echo the head it got, /api/status/stream server-sent events,
 * /api/status/websocket becomes a WebSocket that answers each message with itself; everything else gets a short JSON document. Bodies of
 * requests are counted and dropped.
 */
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { adopt, type SocketOwner } from '../../sidecar/connections/socket.ts';
import { Messages, switching } from './messages.ts';

const answer = (type: string, body: string) =>
  Buffer.from(
    `HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    'latin1',
  );
const usual = answer('application/json', JSON.stringify({ status: 'ok', data: 'x'.repeat(80) }));
const sized = new Map<number, Buffer>();
const eventsMs = 20;

/** Where bodies of requests go: nobody looks at them. */
const sink = Buffer.allocUnsafeSlow(256 * 1024);
const crlfcrlf = Buffer.from('\r\n\r\n', 'latin1');
/** Of a GET for something below /api/status/: where that something begins. */
const nameAt = 'GET /api/status/'.length;
const letterG = 0x47;
const letterA = 0x61;

class Connection implements SocketOwner {
  readonly socket: Socket | undefined;
  bodyBuffer: Buffer | undefined = undefined;
  #carry = '';
  #remaining = 0;
  #head = '';
  #messages: Messages | undefined;

  constructor(accepted: Socket) {
    this.socket = adopt(accepted, this);
    this.socket?.read(0);
  }

  onBytes(buffer: Buffer, length: number): boolean {
    // What nearly all of them are: one whole head of a GET for a number.
    if (
      this.#remaining === 0 &&
      this.#carry === '' &&
      buffer[0] === letterG &&
      (buffer[nameAt] as number) < letterA &&
      buffer.indexOf(crlfcrlf) === length - 4
    ) {
      this.socket?.write(usual);
      return true;
    }
    if (this.#messages !== undefined) {
      this.#messages.echo(buffer, length, this.socket as Socket);
      return true;
    }
    this.#use(buffer, length);
    this.bodyBuffer = this.#remaining > 0 ? sink : undefined;
    return true;
  }

  #use(buffer: Buffer, length: number): void {
    let at = 0;
    while (at < length) {
      if (this.#remaining > 0) {
        const taken = Math.min(this.#remaining, length - at);
        this.#remaining -= taken;
        at += taken;
        if (this.#remaining === 0) this.#respond();
        continue;
      }
      const text = this.#carry + buffer.latin1Slice(at, length);
      const end = text.indexOf('\r\n\r\n');
      if (end < 0) {
        this.#carry = text;
        return;
      }
      at += end + 4 - this.#carry.length;
      this.#carry = '';
      this.#head = text.slice(0, end);
      this.#remaining = text.startsWith('POST') ? bodyLength(this.#head) : 0;
      if (this.#remaining === 0) this.#respond();
    }
  }

  #respond(): void {
    const { socket } = this;
    if (socket === undefined) return;
    const start = this.#head.indexOf(' ') + 1;
    const name = /^\/api\/status\/(bytes-(\d+)|echo|stream|websocket)/.exec(
      this.#head.slice(start, start + 60),
    );
    if (name === null) socket.write(usual);
    else if (name[2] !== undefined) socket.write(bytes(Number(name[2])));
    else if (name[1] === 'echo') socket.write(answer('text/plain', this.#head));
    else if (name[1] === 'websocket') {
      socket.write(switching);
      this.#messages = new Messages();
    } else stream(socket);
  }

  onReadEnd(): void {
    this.socket?.destroy();
  }
  onConnected(): void {}
  onDrain(): void {}
  onClosed(): void {}
}

function bodyLength(head: string): number {
  return Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
}

function bytes(count: number): Buffer {
  let response = sized.get(count);
  if (response === undefined) {
    response = answer('application/octet-stream', 'b'.repeat(count));
    sized.set(count, response);
  }
  return response;
}

function stream(socket: Socket): void {
  socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n');
  const timer = setInterval(() => {
    const event = `data: ${Math.round(performance.timeOrigin * 1000 + performance.now() * 1000)}\n\n`;
    socket.write(`${event.length.toString(16)}\r\n${event}\r\n`);
  }, eventsMs);
  socket.on('close', () => clearInterval(timer));
}

const server = createServer({ noDelay: true, pauseOnConnect: true }, (accepted) => new Connection(accepted));
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () =>
  console.log(`ready ${(server.address() as AddressInfo).port}`),
);
