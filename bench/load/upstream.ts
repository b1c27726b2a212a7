/**
 * The app behind every peer, as cheap as one can be in Node: `node bench/load/upstream.ts`. Says `ready PORT`.
 *
 * GET /api/status/bytes-N answers N bytes, /api/status/echo the head it got, /api/status/stream server-sent events;
 * everything else a short JSON document. Bodies of requests are counted and dropped.
 */
import { type AddressInfo, createServer, type Socket } from 'node:net';

const answer = (type: string, body: string) =>
  Buffer.from(
    `HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    'latin1',
  );
const usual = answer('application/json', JSON.stringify({ status: 'ok', data: 'x'.repeat(80) }));
const sized = new Map<number, Buffer>();
const eventsMs = 20;

interface Connection {
  readonly socket: Socket;
  carry: string;
  remaining: number;
  target: string;
  head: string;
}

const server = createServer({ noDelay: true }, (socket) => {
  const connection: Connection = { socket, carry: '', remaining: 0, target: '', head: '' };
  socket.on('error', () => {});
  socket.on('data', (chunk) => onData(connection, chunk as Buffer));
});

function onData(connection: Connection, chunk: Buffer): void {
  let at = 0;
  while (at < chunk.length) {
    if (connection.remaining > 0) {
      const taken = Math.min(connection.remaining, chunk.length - at);
      connection.remaining -= taken;
      at += taken;
      if (connection.remaining === 0) respond(connection);
      continue;
    }
    const text = connection.carry + chunk.latin1Slice(at, chunk.length);
    const end = text.indexOf('\r\n\r\n');
    if (end < 0) {
      connection.carry = text;
      return;
    }
    at += end + 4 - connection.carry.length;
    connection.carry = '';
    connection.head = text.slice(0, end);
    const start = text.indexOf(' ') + 1;
    connection.target = text.slice(start, text.indexOf(' ', start));
    connection.remaining = text.charCodeAt(0) === 0x50 ? bodyLength(connection.head) : 0;
    if (connection.remaining === 0) respond(connection);
  }
}

function bodyLength(head: string): number {
  return Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
}

function respond({ socket, target, head }: Connection): void {
  if (!target.startsWith('/api/status/') || target.charCodeAt(12) < 0x61) socket.write(usual);
  else if (target.startsWith('bytes-', 12)) socket.write(bytes(Number.parseInt(target.slice(18), 10)));
  else if (target.startsWith('echo', 12)) socket.write(answer('text/plain', head));
  else if (target.startsWith('stream', 12)) stream(socket);
  else socket.write(usual);
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

server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () =>
  console.log(`ready ${(server.address() as AddressInfo).port}`),
);
