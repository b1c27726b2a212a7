import { createServer, type TLSSocket } from 'node:tls';
import type { Fleet, FleetService } from '../../sidecar/config/fleet.ts';
import { deriveTlsPsk } from '../../sidecar/keyring/derive.ts';
import type { Keyring } from '../../sidecar/keyring/keyring.ts';
import { toKeyring } from '../../sidecar/keyring/keyring-file.ts';
import { KeyringRenderer } from '../../sidecar/rotation/render.ts';
import type { ServiceRoots } from '../../sidecar/rotation/roots.ts';

/** Many sidecars on addresses of loopback, played by one TLS server that takes the pair key of whichever was dialled. */
export interface SimulatedSidecars {
  readonly fleet: Fleet;
  readonly keyring: Keyring;
  /** Requests that have come, and the most that were under way at once. */
  readonly seen: { requests: number; connections: number; most: number };
}

const operator = 'control';

/**
 * @param count of hosts, one service each
 * @param answer the body for a host and a document
 */
export async function simulatedSidecars(
  t: { teardown(done: () => unknown): void },
  count: number,
  answer: (service: string, host: string, document: string) => string,
): Promise<SimulatedSidecars> {
  const services = Array.from({ length: count }, (_, n) => ({
    name: `service-${n}`,
    host: `127.1.${n >> 8}.${n & 255}`,
  }));
  const byHost = new Map(services.map(({ name, host }) => [host, name]));
  const seen = { requests: 0, connections: 0, most: 0 };
  let underWay = 0;
  const key = new Map<string, Buffer>();
  const server = createServer(
    {
      minVersion: 'TLSv1.3',
      ciphers: 'TLS_AES_128_GCM_SHA256',
      ecdhCurve: 'X25519',
      ALPNProtocols: ['http/1.1'],
      pskCallback: (socket) => key.get((socket as TLSSocket).localAddress ?? '') ?? null,
    },
    (socket) => {
      seen.connections++;
      const host = socket.localAddress as string;
      let text = '';
      socket.on('error', () => {});
      socket.on('data', (piece: Buffer) => {
        text += piece.toString('latin1');
        for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
          const [, path = ''] = text.split(' ', 2);
          text = text.slice(end + 4);
          seen.requests++;
          seen.most = Math.max(seen.most, ++underWay);
          const body = answer(byHost.get(host) as string, host, path.slice(path.lastIndexOf('/') + 1));
          setImmediate(() => {
            underWay--;
            socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
          });
        }
      });
    },
  );
  const sockets = new Set<TLSSocket>();
  server.on('secureConnection', (socket: TLSSocket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as { port: number };
  const fleet: Fleet = {
    services: new Map<string, FleetService>([
      ...services.map(({ name, host }) => [name, { name, hosts: [host], inbound: port, app: 1 }] as const),
      [operator, { name: operator, hosts: ['127.0.0.9'] }] as const,
    ]),
    coveredFields: [],
    operators: [operator],
    hash: '0'.repeat(64),
  };
  const roots = [...fleet.services.keys()].map((name, n): [string, ServiceRoots] => [
    name,
    { current: { kid: `${name}/1`, key: Buffer.alloc(32, n), createdAt: '2026-11-01T00:00:00.000Z' } },
  ]);
  // Not everyone's keyrings: that would be 360,000 keys.
  const renderer = new KeyringRenderer(fleet, { services: new Map(roots) }, Date.now());
  const file = renderer.keyringOf({ service: operator, host: '127.0.0.9' });
  for (const { name, host } of services)
    key.set(host, deriveTlsPsk(Buffer.from(file.outbound[name]?.keys[host] as string, 'base64')));
  return { fleet, keyring: toKeyring(file), seen };
}
