import type { PairKey } from './hmac.ts';

/** A key with which a caller's signature is checked. */
export interface InboundKey {
  readonly kid: string;
  readonly caller: string;
  readonly key: PairKey;
  /** Milliseconds since the epoch after which the key is refused; Infinity when it has no end. */
  readonly notAfterMs: number;
}

/** What a verifier needs of a keyring. */
export interface VerifierKeys {
  readonly service: string;
  readonly host: string;
  /** By key id. */
  readonly inbound: ReadonlyMap<string, InboundKey>;
}
