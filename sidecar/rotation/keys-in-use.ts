import type { KeyringFile } from '../keyring/keyring-file.ts';
import { splitKeyId } from '../terms/kid.ts';

/** What the keyrings of a fleet tell of one caller's generations. */
export interface InUse {
  /** Signed with by a sidecar of that caller. */
  readonly signing: ReadonlySet<number>;
  /** Accepted by every callee whose keyring was seen. */
  readonly accepted: ReadonlySet<number>;
  /** When generations end, where a keyring says so. */
  readonly notAfter: ReadonlyMap<number, string>;
}

interface Counted {
  readonly signing: Set<number>;
  /** Keyrings that accept each generation. */
  readonly accepted: Map<number, number>;
  readonly notAfter: Map<number, string>;
  /** Keyrings that accept the caller at all. */
  verifiers: number;
}

/** Reads from keyrings which generations are in use, one keyring at a time. */
export class KeysInUse {
  readonly #callers = new Map<string, Counted>();

  add({ service, outbound, inbound }: KeyringFile): void {
    for (const { kid } of Object.values(outbound)) this.#of(service).signing.add(splitKeyId(kid).generation);
    for (const [caller, keys] of Object.entries(inbound)) {
      const counted = this.#of(caller);
      counted.verifiers++;
      for (const { kid, not_after } of keys) {
        const { generation } = splitKeyId(kid);
        counted.accepted.set(generation, (counted.accepted.get(generation) ?? 0) + 1);
        if (not_after !== undefined) counted.notAfter.set(generation, not_after);
      }
    }
  }

  of(caller: string): InUse {
    const { signing, accepted, notAfter, verifiers } = this.#of(caller);
    const everywhere = [...accepted].filter(([, count]) => count === verifiers);
    return { signing, accepted: new Set(everywhere.map(([generation]) => generation)), notAfter };
  }

  #of(caller: string): Counted {
    let counted = this.#callers.get(caller);
    if (counted === undefined) {
      counted = { signing: new Set(), accepted: new Map(), notAfter: new Map(), verifiers: 0 };
      this.#callers.set(caller, counted);
    }
    return counted;
  }
}
