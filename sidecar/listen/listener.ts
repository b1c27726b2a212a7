import { createServer, type Server, type Socket } from 'node:net';
import { formatAddress } from '../../config/address.ts';
import { bind, ListenError, type ListenOn } from './bind.ts';
import { pathOfDescriptor } from './inherited-path.ts';

/** A listening socket; connections come paused, so that the one who takes them over misses no byte. */
export class Listener {
  readonly #server: Server;
  /** `address:port`, IPv6 in brackets, or `unix:PATH`, as `formatAddress` writes it. */
  readonly local: string;

  private constructor(server: Server, on: ListenOn) {
    this.#server = server;
    this.local = localOf(server, on);
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
    const listener = new Listener(server, on);
    local = listener.local;
    return listener;
  }

  /** Accepts no more; what was accepted is not touched. */
  close(): void {
    this.#server.close();
  }
}

/**
 * Where a server listens: `address:port`, IPv6 in brackets, or `unix:PATH`.
 *
 * @param on what it was told
 * @throws {ListenError} when it inherited a socket that has no address
 */
export function localOf(server: Server, on: ListenOn): string {
  const inherited = 'fd' in on ? on.fd : undefined;
  const address =
    server.address() ?? (inherited === undefined ? null : (pathOfDescriptor(inherited) ?? null));
  if (address === null)
    throw new ListenError(
      `descriptor ${inherited}`,
      'a socket without an address',
      'one of a .socket unit with ListenStream=',
    );
  return formatAddress(
    typeof address === 'string' ? { path: address } : { host: address.address, port: address.port },
  );
}
