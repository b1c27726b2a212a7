import net from 'node:net';

/** A bound TCP socket of ours that others accept on. */
export interface HeldSocket {
  /** What it is called in LISTEN_FDNAMES. */
  readonly name: string;
  readonly fd: number;
  close(): void;
}

// Node has no public way to bind a socket and not accept on it. This is what its own cluster module uses for
// the same purpose; test/local/swap.test.ts fails should a new Node lack it.
interface BindOnly {
  _createServerHandle(host: string, port: number, family: 4): { fd: number; close(): void } | number;
}

/**
 * Binds 127.0.0.1:`port` and keeps it, so that processes which serve it one after the other (systemd's socket
 * activation) leave no moment in which a connection is refused.
 *
 * @throws {PortTakenError}
 */
export async function holdSocket(name: string, port: number): Promise<HeldSocket> {
  await assertFree(port);
  const handle = (net as unknown as BindOnly)._createServerHandle('127.0.0.1', port, 4);
  if (typeof handle === 'number') throw new PortTakenError(port);
  return { name, fd: handle.fd, close: () => handle.close() };
}

/** @throws {PortTakenError} when somebody listens on 127.0.0.1:`port` */
export async function assertFree(port: number): Promise<void> {
  const probe = net.createServer();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  probe.once('error', (cause: NodeJS.ErrnoException) => {
    reject(cause.code === 'EADDRINUSE' ? new PortTakenError(port) : cause);
  });
  probe.listen(port, '127.0.0.1', () => probe.close(() => resolve()));
  return promise;
}

export class PortTakenError extends Error {
  readonly code = 'port-taken';
  constructor(port: number) {
    super(
      `found 127.0.0.1:${port} in use, expected it free: stop what listens there (ss -ltnp 'sport = :${port}' names it) ` +
        'or choose other ports (npm run up -- --base-port 25000)',
    );
    this.name = 'PortTakenError';
  }
}
