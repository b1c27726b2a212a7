import { connect, type TLSSocket } from 'node:tls';
import { deriveTlsPsk } from '../../sidecar/keyring/derive.ts';
import type { Identity } from './signer.ts';

/** Opens a connection as another sidecar does: TLS 1.3 with the pair key. */
export function sealedConnection(port: number, { kid, key }: Identity): Promise<TLSSocket> {
  const psk = deriveTlsPsk(Buffer.from(key, 'base64'));
  return new Promise((resolve, reject) => {
    const socket = connect({
      port,
      host: '127.0.0.1',
      minVersion: 'TLSv1.3',
      ciphers: 'TLS_AES_128_GCM_SHA256',
      ecdhCurve: 'X25519',
      ALPNProtocols: ['http/1.1'],
      ca: [],
      pskCallback: () => ({ identity: `countersign/1 ${kid}`, psk }),
      checkServerIdentity: () => undefined,
    });
    socket.setNoDelay(true);
    socket.once('secureConnect', () => resolve(socket));
    socket.on('error', reject);
  });
}
