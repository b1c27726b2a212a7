import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { createServer, type Server } from 'node:tls';
import type { Test } from 'tap';
import { deriveTlsPsk } from '../../sidecar/keyring/derive.ts';
import type { KeyringFile } from '../../sidecar/keyring/keyring-file.ts';

/**
 * As `rawApp`, in the place of a callee's sidecar: inside TLS, with the pair key that the caller's keyring has.
 *
 * @param keyring where the caller's keyring.json lies; read when somebody connects
 */
export async function sealedApp(
  t: Test,
  keyring: () => string,
  onConnection: (socket: Socket, server: Server) => void,
  at: { readonly host?: string; readonly port?: number; readonly callee?: string } = {},
): Promise<number> {
  const { host = '127.0.0.1', callee = 'npu-worker' } = at;
  const sockets = new Set<Socket>();
  const server: Server = createServer(
    {
      minVersion: 'TLSv1.3',
      ciphers: 'TLS_AES_128_GCM_SHA256',
      ecdhCurve: 'X25519',
      ALPNProtocols: ['http/1.1'],
      pskCallback: () => {
        const { outbound } = JSON.parse(readFileSync(keyring(), 'utf8')) as KeyringFile;
        return deriveTlsPsk(Buffer.from(outbound[callee]?.keys[host] ?? '', 'base64'));
      },
    },
    (socket) => {
      socket.setNoDelay(true);
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => sockets.delete(socket));
      onConnection(socket, server);
    },
  );
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(at.port ?? 0, host, resolve);
  });
  t.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as { port: number }).port;
}

/** Ends a connection, be it inside TLS, with a reset. */
export function reset(socket: Socket): void {
  const { _handle } = socket as unknown as {
    _handle: { _parent?: { close: unknown; reset: unknown } } | null;
  };
  const tcp = _handle?._parent;
  if (tcp === undefined) socket.resetAndDestroy();
  else {
    tcp.close = tcp.reset;
    socket.destroy();
  }
}
