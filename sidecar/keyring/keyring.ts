import type { PairKey } from '../signature/hmac.ts';
import type { InboundKey, VerifierKeys } from '../signature/verifier-keys.ts';

/** A key of a caller: its signatures are checked with it, and its sealed connections are proven by it. */
export interface CallerKey extends InboundKey {
  /** The pre-shared key of TLS that goes with it. */
  readonly psk: Buffer;
}

/** The keys with which this host signs calls to one callee. */
export interface OutboundKeys {
  readonly kid: string;
  /** By host of the callee, as fleet.yaml writes it. */
  readonly keys: ReadonlyMap<string, PairKey>;
  /** The pre-shared keys of the TLS connections to these hosts. */
  readonly psks: ReadonlyMap<string, Buffer>;
}

/** The key that both ends of a sealed connection prove, and its id. */
export interface SealingKey {
  readonly kid: string;
  /** 32 bytes. */
  readonly psk: Buffer;
}

/** An immutable snapshot of keyring.json: all that the data path knows of keys. */
export interface Keyring extends VerifierKeys {
  /** The random name that the rotator gave to this very file; undefined when a hand wrote it. */
  readonly issue: string | undefined;
  /** By key id. */
  readonly inbound: ReadonlyMap<string, CallerKey>;
  readonly outbound: ReadonlyMap<string, OutboundKeys>;
}
