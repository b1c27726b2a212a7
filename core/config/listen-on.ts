import type { SocketAddress } from '../../config/address.ts';
import type { InheritedSockets } from '../../config/inherited-sockets.ts';
import { ConfigError } from '../../config/load.ts';

/** Where to listen: an address, or the descriptor of a listening socket that another process holds. */
export type ListenOn = SocketAddress | { readonly fd: number };

/** The name of the core's socket in its .socket unit (`FileDescriptorName=`). */
const socketName = 'core';

/**
 * Where to listen: the socket that systemd holds, which stays open while one process follows another, or else the
 * address of core.yaml.
 *
 * @param file the core.yaml
 * @throws {ConfigError} when there are several inherited sockets
 */
export function listenOn(file: string, listen: SocketAddress, sockets: InheritedSockets): ListenOn {
  const [fd, ...others] = sockets.byName.get(socketName) ?? [];
  if (fd === undefined) return listen;
  if (others.length === 0) return { fd };
  throw new ConfigError([
    {
      file,
      line: 0,
      column: 0,
      path: 'listen',
      found: `${others.length + 1} inherited "${socketName}" sockets`,
      expected: 'one ListenStream in countersign-core.socket',
    },
  ]);
}
