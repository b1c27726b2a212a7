/** Why a handshake did not prove the peer. */
export type HandshakeFailure =
  /** The peer does not speak TLS. */
  | 'no-tls'
  /** The peer has another key under this key id. */
  | 'other-key'
  /** The peer showed a certificate instead of proving the key. */
  | 'certificate'
  /** Another version, cipher suite, group or application protocol, or a message that TLS does not allow there. */
  | 'incompatible'
  /** The connection ended before the handshake. */
  | 'closed'
  /** The handshake did not end within timeouts.connect. */
  | 'timed-out'
  /** Outbound: the keyring has no key for the peer. Inbound: it has none of that id, or one that has expired. */
  | 'no-key';

/** How a handshake ended, as it is counted. */
export type HandshakeResult = 'proven' | HandshakeFailure;

/** The peer of a connection did not prove the pair key. */
export class HandshakeError extends Error {
  readonly code = 'peer-unproven';
  readonly failure: HandshakeFailure;

  /** @param found what OpenSSL or the kernel said, where that helps */
  constructor(failure: HandshakeFailure, found?: string) {
    super(`${explanations[failure]}${found === undefined ? '' : ` (${found})`}`);
    this.name = 'HandshakeError';
    this.failure = failure;
  }
}

/** What each failure means and what to do about it, in the words of an operator. */
export const explanations: Readonly<Record<HandshakeFailure, string>> = {
  'no-tls':
    'it does not speak TLS: expected a sidecar that seals its connections; something else listens there, or answers in its place',
  'other-key':
    'it has another key under this key id: deliver the keyrings again (countersign keys status), unless somebody answers in its place',
  certificate:
    'it shows a certificate instead of proving the pair key: something else than its sidecar answers',
  incompatible: 'it speaks another TLS than a sidecar does: expected TLS 1.3 with the pair key and http/1.1',
  closed:
    'it closed the connection during the handshake: it may be a sidecar of version 0.1, or somebody on the way cuts the connection',
  'timed-out':
    'it did not finish the handshake within timeouts.connect: it may be a sidecar of version 0.1, or somebody on the way holds the connection up',
  'no-key':
    'there is no pair key for it in the keyring: deliver the keyrings again (countersign keys status)',
};

const notTls = new Set([
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'ERR_SSL_PACKET_LENGTH_TOO_LONG',
  'ERR_SSL_HTTP_REQUEST',
  'ERR_SSL_HTTPS_PROXY_REQUEST',
  'ERR_SSL_UNEXPECTED_MESSAGE',
  'ERR_SSL_BAD_RECORD_TYPE',
  'ERR_SSL_UNEXPECTED_RECORD',
  'ERR_SSL_RECORD_LAYER_FAILURE',
]);
/** What an end says, or is told by the other, when the binder or the Finished message does not fit the key. */
const otherKey = new Set([
  'ERR_SSL_BINDER_DOES_NOT_VERIFY',
  'ERR_SSL_SSL/TLS_ALERT_ILLEGAL_PARAMETER',
  'ERR_SSL_SSLV3_ALERT_ILLEGAL_PARAMETER',
  'ERR_SSL_TLSV1_ALERT_DECRYPT_ERROR',
  'ERR_SSL_TLSV1_ALERT_UNKNOWN_PSK_IDENTITY',
  'ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC',
  'ERR_SSL_DIGEST_CHECK_FAILED',
]);
const cut = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED']);

/** What an error during a handshake means. */
export function handshakeError(error: Error | undefined): HandshakeError {
  if (error === undefined) return new HandshakeError('closed');
  if (error instanceof HandshakeError) return error;
  const code = (error as NodeJS.ErrnoException).code ?? error.message;
  if (cut.has(code)) return new HandshakeError('closed', code);
  if (notTls.has(code)) return new HandshakeError('no-tls', code);
  return new HandshakeError(otherKey.has(code) ? 'other-key' : 'incompatible', code);
}
