import { createHash } from 'node:crypto';
import { createServer, connect as dial, type Server, type Socket } from 'node:net';
import type { Test } from 'tap';

/** A connection on which a test says byte for byte what it means. */
export class RawClient {
  readonly socket: Socket;
  received = Buffer.alloc(0);
  closed = false;
  #wake: (() => void) | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (piece: Buffer) => {
      this.received = Buffer.concat([this.received, piece]);
      this.#wake?.();
    });
    socket.on('error', () => {});
    socket.on('end', () => {
      this.closed = true;
      this.#wake?.();
    });
    socket.on('close', () => {
      this.closed = true;
      this.#wake?.();
    });
  }

  static async connect(t: Test, port: number, host = '127.0.0.1'): Promise<RawClient> {
    const socket = dial({ port, host, allowHalfOpen: true, noDelay: true });
    const client = new RawClient(socket);
    t.teardown(() => socket.destroy());
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return client;
  }

  write(text: string | Buffer): void {
    this.socket.write(typeof text === 'string' ? Buffer.from(text, 'latin1') : text);
  }

  get text(): string {
    return this.received.toString('latin1');
  }

  /** Waits until what was received satisfies `enough`, or the peer has closed. */
  async until(enough: (text: string) => boolean): Promise<string> {
    while (!enough(this.text) && !this.closed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.text;
  }

  /** The next whole response (Content-Length or no body), taken off what was received. */
  async response(): Promise<RawResponse> {
    const complete = (text: string) => {
      const end = text.indexOf('\r\n\r\n');
      return (
        end >= 0 &&
        text.length >= end + 4 + Number(/content-length: (\d+)/i.exec(text.slice(0, end))?.[1] ?? 0)
      );
    };
    const text = await this.until(complete);
    const end = text.indexOf('\r\n\r\n');
    if (end < 0) return { status: 0, head: text, body: '', reason: undefined };
    const head = text.slice(0, end);
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
    const body = text.slice(end + 4, end + 4 + length);
    this.received = this.received.subarray(end + 4 + length);
    return {
      status: Number(head.slice(9, 12)),
      head,
      body,
      reason: head.includes('application/problem+json')
        ? (JSON.parse(body) as { reason: string }).reason
        : undefined,
    };
  }

  /** Resolves when the peer has closed. */
  async end(): Promise<string> {
    return this.until(() => false);
  }
}

export interface RawResponse {
  readonly status: number;
  readonly head: string;
  readonly body: string;
  /** Of a problem. */
  readonly reason: string | undefined;
}

/** Sends bytes on a connection of their own and returns the first response. */
export async function exchange(t: Test, port: number, bytes: string | Buffer): Promise<RawResponse> {
  const client = await RawClient.connect(t, port);
  client.write(bytes);
  const response = await client.response();
  client.socket.destroy();
  return response;
}

/** An app that keeps every byte that it gets, and answers each request with 200 and the request's own head. */
export class RecordingApp {
  readonly server: Server;
  readonly port: number;
  /** One entry a connection. */
  readonly connections: Buffer[] = [];
  /** Heads and bodies of the complete requests, in the order in which they arrived. */
  readonly requests: { head: string; body: Buffer }[] = [];
  #waiting: (() => void)[] = [];

  private constructor(server: Server, port: number) {
    this.server = server;
    this.port = port;
  }

  static async start(t: Test): Promise<RecordingApp> {
    const sockets = new Set<Socket>();
    let app: RecordingApp;
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => sockets.delete(socket));
      app.#serve(socket);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    app = new RecordingApp(server, (server.address() as { port: number }).port);
    t.teardown(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    return app;
  }

  /** Every byte that any connection brought. */
  get bytes(): string {
    return Buffer.concat(this.connections).toString('latin1');
  }

  #serve(socket: Socket): void {
    const index = this.connections.push(Buffer.alloc(0)) - 1;
    let pending = Buffer.alloc(0);
    socket.on('data', (piece: Buffer) => {
      this.connections[index] = Buffer.concat([this.connections[index]!, piece]);
      pending = Buffer.concat([pending, piece]);
      for (;;) {
        const request = takeRequest(pending);
        if (request === undefined) return;
        pending = pending.subarray(request.length);
        this.requests.push(request);
        for (const wake of this.#waiting.splice(0)) wake();
        const body = `${request.head}\r\n\r\nsha256=${createHash('sha256').update(request.body).digest('hex')} bytes=${request.body.length}`;
        socket.write(
          `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(body, 'latin1')}\r\n\r\n${body}`,
          'latin1',
        );
      }
    });
  }

  /** Resolves once so many requests have arrived in all. */
  async got(count: number): Promise<void> {
    while (this.requests.length < count) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}

function takeRequest(bytes: Buffer): { head: string; body: Buffer; length: number } | undefined {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const head = bytes.toString('latin1', 0, end);
  const start = end + 4;
  if (/^transfer-encoding: *chunked/im.test(head)) return takeChunked(bytes, head, start);
  const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
  if (bytes.length < start + length) return undefined;
  return { head, body: Buffer.from(bytes.subarray(start, start + length)), length: start + length };
}

function takeChunked(bytes: Buffer, head: string, start: number) {
  const pieces: Buffer[] = [];
  let at = start;
  for (;;) {
    const line = bytes.indexOf('\r\n', at);
    if (line < 0) return undefined;
    const size = Number.parseInt(bytes.toString('latin1', at, line), 16);
    if (size === 0) {
      const done = bytes.indexOf('\r\n\r\n', line);
      if (done < 0) return undefined;
      return {
        head: `${head}${bytes.toString('latin1', line, done).replace(/^\r\n/, '\r\nTRAILER ')}`,
        body: Buffer.concat(pieces),
        length: done + 4,
      };
    }
    if (bytes.length < line + 2 + size + 2) return undefined;
    pieces.push(bytes.subarray(line + 2, line + 2 + size));
    at = line + 2 + size + 2;
  }
}
