/** What a connection speaks, by its first byte. */
export type Protocol = 'tls' | 'http' | 'neither';

/** The content type of a TLS record that carries a handshake (RFC 8446 §5.1). */
const tlsHandshake = 0x16;

/** Bytes that a request can begin with: those of a method (RFC 9110 §5.6.2), and the empty line of RFC 9112 §2.2. */
const beginsRequest = new Uint8Array(256);
for (const byte of Buffer.from("!#$%&'*+-.^_`|~\r\n", 'latin1')) beginsRequest[byte] = 1;
for (const [first, last] of ['09', 'AZ', 'az'])
  for (let byte = first!.charCodeAt(0); byte <= last!.charCodeAt(0); byte++) beginsRequest[byte] = 1;

/** Tells TLS from plain HTTP on a port that takes both; no method begins with the byte of a TLS handshake. */
export function protocolOf(firstByte: number): Protocol {
  if (firstByte === tlsHandshake) return 'tls';
  return beginsRequest[firstByte] === 1 ? 'http' : 'neither';
}
