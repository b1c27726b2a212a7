import { hkdfSync } from 'node:crypto';

/** Which pair key: the caller, the callee and the one host of the callee, and the generation of the caller's root. */
export interface PairName {
  readonly caller: string;
  readonly callee: string;
  /** As fleet.yaml writes it. */
  readonly host: string;
  readonly generation: number;
}

/**
 * Derives a pair key from the caller's root: HKDF-SHA256 (RFC 5869) with an empty salt and
 * `info = "countersign/1\n" caller "\n" callee "\n" host "\n" generation`. No part can hold a line feed, so no
 * two pairs share an info.
 *
 * @param root the caller's root key, 32 bytes
 * @returns 32 bytes
 */
export function derivePairKey(root: Uint8Array, pair: PairName): Buffer {
  if (root.length !== 32) throw new RangeError(`a root key has 32 bytes, this has ${root.length}`);
  const info = `countersign/1\n${pair.caller}\n${pair.callee}\n${pair.host}\n${pair.generation}`;
  return Buffer.from(hkdfSync('sha256', root, Buffer.alloc(0), info, 32));
}

/**
 * Derives the pre-shared key of the TLS connections between the two ends of a pair: HKDF-SHA256 (RFC 5869) with an
 * empty salt and `info = "countersign/1\ntls-psk"`. The pair key itself signs and is never given to TLS (RFC 9257 §4).
 *
 * @param pairKey 32 bytes
 * @returns 32 bytes
 */
export function deriveTlsPsk(pairKey: Uint8Array): Buffer {
  if (pairKey.length !== 32) throw new RangeError(`a pair key has 32 bytes, this has ${pairKey.length}`);
  return Buffer.from(hkdfSync('sha256', pairKey, Buffer.alloc(0), 'countersign/1\ntls-psk', 32));
}
