import { chown, lstat, unlink } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import type { SocketAddress, UnixAddress } from '../../config/address.ts';
import { groupId } from './group-id.ts';

/** Where to listen: an address of our own, or the number of a listening socket that we inherited. */
export type ListenOn = OwnAddress | { readonly fd: number };

type OwnAddress = (
  | (SocketAddress & { readonly reusePort?: boolean })
  | (UnixAddress & {
      /** The group that may connect. */
      readonly group?: string | undefined;
    })
) & {
  /** The callee of a route listener. */
  readonly route?: string;
};

/** Connections that may wait in the kernel until they are accepted. */
const backlog = 4096;
/** Owner and group may connect, others may not (mode 0660). */
const unixUmask = 0o117;

/** An address that cannot be listened on: what was found there, what was expected. */
export class ListenError extends Error {
  readonly code = 'cannot-listen';
  constructor(address: string, found: string, expected: string) {
    super(`${address}: found ${found}, expected ${expected}`);
    this.name = 'ListenError';
  }
}

/**
 * Has a server listen. A UNIX socket gets mode 0660 and its group before anybody can connect; one that a dead process
 * has left is replaced.
 *
 * @throws {ListenError} what is wrong with the path of a UNIX socket
 * @throws an error of node:net with `code` EADDRINUSE and the like
 */
export async function bind(server: Server, on: ListenOn): Promise<void> {
  if ('fd' in on) return listening(server, () => server.listen({ fd: on.fd }));
  if ('port' in on) {
    const { host, port, reusePort = false } = on;
    return listening(server, () => server.listen({ host, port, backlog, reusePort }));
  }
  await bindUnix(server, on);
}

async function bindUnix(
  server: Server,
  { path, group }: UnixAddress & { readonly group?: string | undefined },
) {
  const gid = group === undefined ? undefined : await groupId(group);
  if (group !== undefined && gid === undefined)
    throw new ListenError(`unix:${path}`, `the group "${group}"`, 'a group of /etc/group');
  await removeStale(path);
  await listening(server, () => {
    const before = process.umask(unixUmask);
    try {
      server.listen({ path, backlog });
    } finally {
      process.umask(before);
    }
  });
  if (gid === undefined) return;
  await chown(path, -1, gid).catch((error: NodeJS.ErrnoException) => {
    server.close();
    const expected = `a group that this user is in: add the user of the service to ${group}`;
    throw new ListenError(`unix:${path}`, `${error.code} for the group "${group}"`, expected);
  });
}

function listening(server: Server, listen: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.once('listening', () => {
      server.off('error', reject);
      resolve();
    });
    listen();
  });
}

/** Removes a socket file that nobody listens on any more. */
async function removeStale(path: string): Promise<void> {
  const there = await lstat(path).catch(() => undefined);
  if (there === undefined) return;
  if (!there.isSocket())
    throw new ListenError(`unix:${path}`, 'a file that is no socket', 'nothing, or an old socket');
  if (await answers(path))
    throw new ListenError(
      `unix:${path}`,
      'a socket on which another process listens',
      'an address of its own',
    );
  await unlink(path);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code !== 'ECONNREFUSED'));
  });
}
