/** Why a TLS handshake did not prove the peer, in the words of an operator: what it means and what to do. */
export const handshakeFailures = {
  'no-tls':
    'it does not speak TLS: expected a sidecar that seals its connections; something else listens there, or answers in its place',
  'other-key':
    'it has another key under this key id: deliver the keyrings again (countersign keys status), unless something else answers in its place',
  certificate:
    'it shows a certificate instead of proving the pair key: something else than its sidecar answers',
  incompatible: 'it speaks another TLS than a sidecar does: expected TLS 1.3 with the pair key and http/1.1',
  closed:
    'it closed the connection during the handshake: it may be a sidecar of version 0.1, or the connection is cut on the way',
  'timed-out':
    'it did not finish the handshake within timeouts.connect: it may be a sidecar of version 0.1, or the connection is held up on the way',
  'no-key':
    'there is no pair key for it in the keyring: deliver the keyrings again (countersign keys status)',
} as const satisfies Record<string, string>;

export type HandshakeFailure = keyof typeof handshakeFailures;

/** How a handshake ended, as it is counted. */
export type HandshakeResult = 'proven' | HandshakeFailure;

export const handshakeResults: readonly HandshakeResult[] = [
  'proven',
  ...(Object.keys(handshakeFailures) as HandshakeFailure[]),
];

/** Who has proven a pair key at the other end of a sealed connection. */
export interface Peer {
  readonly caller: string;
  readonly kid: string;
}

/** Whether a call came inside TLS with the pair key, or in the clear. */
export type HopKind = 'sealed' | 'plain';

/** The connection between two sidecars that a call took. */
export interface Hop {
  /** Inside TLS with the pair key. */
  readonly sealed: boolean;
  /** The other host: on outbound as fleet.yaml writes it, on inbound the address that the call came from. */
  readonly host: string;
}
