import type { PairKey } from '../signature/hmac.ts';

/** A key with which a caller's signature is checked. */
export interface InboundKey {
  readonly kid: string;
  readonly caller: string;
  readonly key: PairKey;
  /** Milliseconds since the epoch after which the key is refused; Infinity when it has no end. */
  readonly notAfterMs: number;
}

/** The keys with which this host signs calls to one callee. */
export interface OutboundKeys {
  readonly kid: string;
  /** By host of the callee, as fleet.yaml writes it. */
  readonly keys: ReadonlyMap<string, PairKey>;
}

/** An immutable snapshot of keyring.json: all that the data path knows of keys. */
export interface Keyring {
  readonly service: string;
  readonly host: string;
  /** The random name that the rotator gave to this very file; undefined when a hand wrote it. */
  readonly issue: string | undefined;
  readonly outbound: ReadonlyMap<string, OutboundKeys>;
  /** By key id. */
  readonly inbound: ReadonlyMap<string, InboundKey>;
}
