import type { PairKey } from '../signature/hmac.ts';
import type { VerifierKeys } from '../signature/verifier-keys.ts';

/** The keys with which this host signs calls to one callee. */
export interface OutboundKeys {
  readonly kid: string;
  /** By host of the callee, as fleet.yaml writes it. */
  readonly keys: ReadonlyMap<string, PairKey>;
}

/** An immutable snapshot of keyring.json: all that the data path knows of keys. */
export interface Keyring extends VerifierKeys {
  /** The random name that the rotator gave to this very file; undefined when a hand wrote it. */
  readonly issue: string | undefined;
  readonly outbound: ReadonlyMap<string, OutboundKeys>;
}
