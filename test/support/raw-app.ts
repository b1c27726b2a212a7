import { createServer, type Socket } from 'node:net';
import type { Test } from 'tap';

/** An app that does byte for byte what a test says, on every connection that it gets; resolves with its port. */
export async function rawApp(
  t: Test,
  onConnection: (socket: Socket) => void,
  at: { readonly host?: string; readonly port?: number } = {},
): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    onConnection(socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(at.port ?? 0, at.host ?? '127.0.0.1', resolve);
  });
  t.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as { port: number }).port;
}

/** Calls `answer` with each head that arrives, one after another (heads without bodies). */
export function onHead(socket: Socket, answer: (head: string, socket: Socket) => void): void {
  let pending = '';
  socket.on('data', (piece: Buffer) => {
    pending += piece.toString('latin1');
    for (let end = pending.indexOf('\r\n\r\n'); end >= 0; end = pending.indexOf('\r\n\r\n')) {
      const head = pending.slice(0, end + 4);
      pending = pending.slice(end + 4);
      answer(head, socket);
    }
  });
}

/** A response with a body of known length. */
export function ok(body = 'ok', further = ''): string {
  return `HTTP/1.1 200 OK\r\n${further}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}
