import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { SocketAddress } from '../../config/units.ts';

/** Connections that may wait in the kernel until they are accepted. */
const backlog = 4096;

/** Where to listen: an address of our own, or the number of a listening socket that we inherited. */
export type ListenOn =
  | (SocketAddress & {
      readonly reusePort?: boolean;
      /** The callee of a route listener. */
      readonly route?: string;
    })
  | { readonly fd: number };

/** A listening socket; connections come paused, so that whoever takes one over misses no byte. */
export class Listener {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /**
   * Starts to accept.
   *
   * @throws an error of node:net with `code` EADDRINUSE and the like
   */
  static async open(on: ListenOn, onConnection: (socket: Socket, local: string) => void): Promise<Listener> {
    let local = '';
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) =>
      onConnection(socket, local),
    );
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(
        'fd' in on
          ? { fd: on.fd }
          : { host: on.host, port: on.port, backlog, reusePort: on.reusePort ?? false },
        () => {
          server.off('error', reject);
          // A connection that could not be accepted, for want of descriptors: the others go on.
          server.on('error', () => {});
          resolve();
        },
      );
    });
    const listener = new Listener(server);
    local = listener.local;
    return listener;
  }

  /** `address:port`, IPv6 in brackets. */
  get local(): string {
    const { address, port, family } = this.#server.address() as AddressInfo;
    return family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`;
  }

  /** Accepts no more; what was accepted is not touched. */
  close(): void {
    this.#server.close();
  }
}
