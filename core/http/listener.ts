import { once } from 'node:events';
import type { Server, ServerResponse } from 'node:http';
import { type AddressInfo, Server as NetServer, type Socket } from 'node:net';
import type { ListenOn } from '../config/listen-on.ts';

/** Connections that may wait in the kernel until they are accepted. */
const backlog = 4096;
/** What a connection without a request gets in a drain: long enough for a request that is on its way already. */
const lingerMs = 250;
/** What connections get at the end of a drain for their last bytes. */
const lastBytesMs = 3_000;

/** The listening socket of an HTTP server, and its end without a refused request. */
export class Listener {
  readonly #server: Server;
  readonly #connections = new Set<Socket>();
  readonly #answers = new Set<ServerResponse>();
  #draining = false;

  constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket) => {
      this.#connections.add(socket);
      socket.once('close', () => this.#connections.delete(socket));
    });
    server.prependListener('request', (_request, response) => {
      if (this.#draining) response.shouldKeepAlive = false;
      this.#answers.add(response);
      response.once('close', () => this.#answers.delete(response));
    });
  }

  /**
   * Starts to accept.
   *
   * @throws an error of node:net with `code` EADDRINUSE and the like
   */
  async open(on: ListenOn): Promise<AddressInfo> {
    this.#server.listen('fd' in on ? { fd: on.fd } : { host: on.host, port: on.port, backlog });
    await once(this.#server, 'listening');
    return this.#server.address() as AddressInfo;
  }

  /**
   * Accepts no more: what comes after this is for the next process when the socket was inherited. Requests on open
   * connections are answered, and the connections closed after that. Resolves when none is open.
   *
   * @param expired aborted when the requests have had their time; what is open 3 seconds after that is cut
   */
  async drain(expired: AbortSignal): Promise<void> {
    if (!this.#server.listening) return;
    this.#draining = true;
    for (const response of this.#answers) if (!response.headersSent) response.shouldKeepAlive = false;
    const closed = new Promise<void>((resolve) => {
      // The method of node:http closes idle connections at once, also those that a request is on its way to.
      NetServer.prototype.close.call(this.#server, () => resolve());
    });
    const idle = setInterval(() => this.#closeIdle(), lingerMs);
    let cut: NodeJS.Timeout | undefined;
    const onExpired = () => {
      cut = setTimeout(() => this.#server.closeAllConnections(), lastBytesMs);
    };
    if (expired.aborted) onExpired();
    else expired.addEventListener('abort', onExpired, { once: true });
    await closed;
    clearInterval(idle);
    clearTimeout(cut);
    expired.removeEventListener('abort', onExpired);
  }

  /** Closes what waits for a request, the first of a connection included. */
  #closeIdle(): void {
    this.#server.closeIdleConnections();
    for (const socket of this.#connections) if (socket.bytesRead === 0) socket.destroy();
  }
}
