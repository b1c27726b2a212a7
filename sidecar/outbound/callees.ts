import type { Fleet } from '../config/fleet.ts';
import type { Destination } from '../exchange/ends.ts';
import type { Keyring, SealingKey } from '../keyring/keyring.ts';

/** A host that a service is called on. */
export interface CalleeHost extends Destination {
  /** Takes up the key that seals its connections; undefined when the keyring has none. */
  useKey(key: SealingKey | undefined): void;
  /** Closes the connections that lie ready: the host is not called any more. */
  close(): void;
}

/** A service that can be called, and the hosts that it runs on. */
export interface Callee {
  readonly name: string;
  readonly hosts: readonly CalleeHost[];
  /** Authorities that mean this service. */
  readonly authorities: readonly string[];
}

/** All services that this sidecar's app may call, by the names under which it asks for them. */
export class Callees {
  readonly #newHost: (callee: string, address: string, port: number) => CalleeHost;
  /** fleet.yaml's `covered_fields`. */
  coveredFields: readonly string[] = [];
  #keyring: Keyring;
  #fleet: Fleet;
  #byAuthority = new Map<string, Callee>();
  #hosts = new Map<string, CalleeHost>();

  /** @param newHost makes the connections to one host */
  constructor(
    fleet: Fleet,
    keyring: Keyring,
    newHost: (callee: string, address: string, port: number) => CalleeHost,
  ) {
    this.#newHost = newHost;
    this.#keyring = keyring;
    this.#fleet = fleet;
    this.replace(fleet);
  }

  /** The callee that a route listener or an authority names; undefined when the fleet has none of that name. */
  find(authority: string): Callee | undefined {
    return this.#byAuthority.get(authority);
  }

  /** Names of all services, for the answer to a call of somebody unknown. */
  get names(): string {
    return [...new Set([...this.#byAuthority.values()].map((callee) => callee.name))].join(', ');
  }

  /** Follows a new fleet.yaml; hosts that stay keep their connections. */
  replace(fleet: Fleet): void {
    this.#fleet = fleet;
    const byAuthority = new Map<string, Callee>();
    const hosts = new Map<string, CalleeHost>();
    for (const service of fleet.services.values()) {
      const { inbound } = service;
      // A service that only calls others.
      if (inbound === undefined) continue;
      const callee: Callee = {
        name: service.name,
        hosts: service.hosts.map((address) => {
          const at = `${service.name} ${address} ${inbound}`;
          const host = this.#hosts.get(at) ?? this.#newHost(service.name, address, inbound);
          hosts.set(at, host);
          return host;
        }),
        authorities: [service.name, `${service.name}:${inbound}`, `${service.name}:${service.app}`],
      };
      for (const authority of callee.authorities) byAuthority.set(authority, callee);
    }
    for (const [at, host] of this.#hosts) if (!hosts.has(at)) host.close();
    this.#hosts = hosts;
    this.#byAuthority = byAuthority;
    this.coveredFields = fleet.coveredFields;
    this.useKeyring(this.#keyring);
  }

  /** Follows a new keyring: new connections use its keys. */
  useKeyring(keyring: Keyring): void {
    this.#keyring = keyring;
    for (const { name } of this.#fleet.services.values()) {
      const keys = keyring.outbound.get(name);
      for (const host of this.#byAuthority.get(name)?.hosts ?? []) {
        const psk = keys?.psks.get(host.address);
        host.useKey(keys === undefined || psk === undefined ? undefined : { kid: keys.kid, psk });
      }
    }
  }

  close(): void {
    for (const host of this.#hosts.values()) host.close();
  }
}
