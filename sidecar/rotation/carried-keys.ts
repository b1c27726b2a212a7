import type { KeyringFile } from '../keyring/keyring-file.ts';

/**
 * Pair keys whose root the registry has lost, as the keyrings hold them. A rotation goes on with them until every
 * sidecar has keys of a new root: so a registry that was lost costs no call.
 */
export class CarriedKeys {
  readonly #keys = new Map<string, string>();
  readonly #kids: ReadonlySet<string>;

  /** @param kids of the lost roots: no other key is taken up */
  constructor(kids: ReadonlySet<string>) {
    this.#kids = kids;
  }

  /** Takes up what a keyring holds, from either end of a pair. */
  add({ service, host, outbound, inbound }: KeyringFile): void {
    for (const keys of Object.values(inbound))
      for (const { kid, key } of keys) this.#keep(kid, service, host, key);
    for (const [callee, { kid, keys }] of Object.entries(outbound))
      for (const [at, key] of Object.entries(keys)) this.#keep(kid, callee, at, key);
  }

  /** In base64; undefined when no keyring that was seen has it. */
  get(kid: string, callee: string, host: string): string | undefined {
    return this.#keys.get(`${kid}\n${callee}\n${host}`);
  }

  #keep(kid: string, callee: string, host: string, key: string): void {
    if (this.#kids.has(kid)) this.#keys.set(`${kid}\n${callee}\n${host}`, key);
  }
}
