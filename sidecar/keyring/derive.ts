import { createHmac, hkdfSync } from 'node:crypto';
import { PairKey } from '../signature/hmac.ts';

/** Which pair key: the caller, the callee and the one host of the callee, and the generation of the caller's root. */
export interface PairName {
  readonly caller: string;
  readonly callee: string;
  /** As fleet.yaml writes it. */
  readonly host: string;
  readonly generation: number;
}

/**
 * Derives the pair keys of one root: HKDF-SHA256 (RFC 5869) with an empty salt and
 * `info = "countersign/1\n" caller "\n" callee "\n" host "\n" generation`. No part can hold a line feed, so no
 * two pairs share an info. What depends on the root alone is worked out once: a large fleet has a million pairs.
 */
export class PairKeys {
  readonly #pseudorandomKey: PairKey;

  /** @param root the caller's root key, 32 bytes */
  constructor(root: Uint8Array) {
    if (root.length !== 32) throw new RangeError(`a root key has 32 bytes, this has ${root.length}`);
    // RFC 5869 §2.2: an empty salt is a block of zeros.
    this.#pseudorandomKey = new PairKey(createHmac('sha256', Buffer.alloc(32)).update(root).digest());
  }

  /** The key of a pair, 32 bytes in base64. */
  base64({ caller, callee, host, generation }: PairName): string {
    // RFC 5869 §2.3: 32 bytes are the first block, whose number is 1.
    const info = `countersign/1\n${caller}\n${callee}\n${host}\n${generation}`;
    return this.#pseudorandomKey.macBase64(`${info}\x01`);
  }
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
