import { once } from 'node:events';
import { connect } from 'node:tls';
import type { Test } from 'tap';
import { deriveTlsPsk } from '../../sidecar/keyring/derive.ts';
import { RawClient, type RawResponse } from './raw-http.ts';

/** A pair key, as the caller's keyring has it. */
export interface PairKey {
  readonly kid: string;
  readonly key: Buffer;
}

/** Connects as another sidecar does: inside TLS, with the pair key. */
export async function sealedClient(t: Test, port: number, { kid, key }: PairKey): Promise<RawClient> {
  const socket = connect({
    port,
    host: '127.0.0.1',
    minVersion: 'TLSv1.3',
    ciphers: 'TLS_AES_128_GCM_SHA256',
    ecdhCurve: 'X25519',
    ALPNProtocols: ['http/1.1'],
    ca: [],
    pskCallback: () => ({ identity: `countersign/1 ${kid}`, psk: deriveTlsPsk(key) }),
    checkServerIdentity: () => undefined,
  });
  t.teardown(() => socket.destroy());
  await once(socket, 'secureConnect');
  socket.setNoDelay(true);
  return new RawClient(socket);
}

/** Sends bytes on a sealed connection of their own and returns the first response. */
export async function sealedExchange(
  t: Test,
  port: number,
  key: PairKey,
  bytes: string | Buffer,
): Promise<RawResponse> {
  const client = await sealedClient(t, port, key);
  client.write(bytes);
  const response = await client.response();
  client.socket.destroy();
  return response;
}
