import { constants } from 'node:crypto';
import { createSecureContext, type TLSSocket } from 'node:tls';
import { HandshakeError } from './handshake.ts';

/** ALPN of the hop between two sidecars. */
export const hopProtocol = 'http/1.1';

/**
 * What both ends speak, and nothing else: TLS 1.3, one cipher suite, one group. Without SSL_OP_ALLOW_NO_DHE_KEX a
 * pre-shared key is used with a key exchange only (psk_dhe_ke, RFC 8446 §4.2.9); early data is off unless asked for.
 */
export const hopContext = createSecureContext({
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  ciphers: 'TLS_AES_128_GCM_SHA256',
  ecdhCurve: 'X25519',
  secureOptions: constants.SSL_OP_NO_TICKET,
  // No authority is trusted: a certificate proves nothing here.
  ca: [],
});

/** Why the peer of a completed handshake is not proven; undefined when it is. */
export function unproven(socket: TLSSocket): HandshakeError | undefined {
  if (socket.getPeerX509Certificate() !== undefined || !socket.isSessionReused())
    return new HandshakeError('certificate');
  const protocol = socket.getProtocol();
  if (protocol !== 'TLSv1.3') return new HandshakeError('incompatible', protocol ?? undefined);
  if (socket.alpnProtocol !== hopProtocol)
    return new HandshakeError('incompatible', `ALPN ${socket.alpnProtocol || 'none'}`);
  return undefined;
}
