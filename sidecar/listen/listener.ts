import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { formatAddress } from '../../config/address.ts';
import { bind, type ListenOn } from './bind.ts';

/** A listening socket; connections come paused, so that the one who takes them over misses no byte. */
export class Listener {
  readonly #server: Server;
  /** `address:port`, IPv6 in brackets, or `unix:PATH`, as `formatAddress` writes it. */
  readonly local: string;

  private constructor(server: Server) {
    this.#server = server;
    this.local = localOf(server);
  }

  /**
   * Starts to accept.
   *
   * @throws {import('./bind.ts').ListenError}
   * @throws an error of node:net with `code` EADDRINUSE and the like
   */
  static async open(on: ListenOn, onConnection: (socket: Socket, local: string) => void): Promise<Listener> {
    let local = '';
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) =>
      onConnection(socket, local),
    );
    await bind(server, on);
    // A connection that could not be accepted, for want of descriptors: the others go on.
    server.on('error', () => {});
    const listener = new Listener(server);
    local = listener.local;
    return listener;
  }

  /** Accepts no more; what was accepted is not touched. */
  close(): void {
    this.#server.close();
  }
}

/** Where a server listens: `address:port`, IPv6 in brackets, or `unix:PATH`. */
export function localOf(server: Server): string {
  const address = server.address() as AddressInfo | string;
  return formatAddress(
    typeof address === 'string' ? { path: address } : { host: address.address, port: address.port },
  );
}
