import { type HandshakeFailure, handshakeFailures } from '../terms/handshake.ts';

/** The peer of a connection did not prove the pair key. */
export class HandshakeError extends Error {
  readonly code = 'peer-unproven';
  readonly failure: HandshakeFailure;

  /** @param found what OpenSSL or the kernel said, where that helps */
  constructor(failure: HandshakeFailure, found?: string) {
    super(`${handshakeFailures[failure]}${found === undefined ? '' : ` (${found})`}`);
    this.name = 'HandshakeError';
    this.failure = failure;
  }
}

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
