import { createHash } from 'node:crypto';
import * as z from 'zod';
import { check, readYaml } from '../../config/load.ts';
import { port, serviceName } from '../../config/units.ts';

const host = z.union([z.ipv4(), z.ipv6()], { error: 'an IP address such as 172.16.168.22' });

/** fleet.yaml: who is where. `inbound` is the sidecar's port on every host, `app` the service's own. */
export const fleetSchema = z.strictObject({
  services: z.record(
    serviceName,
    z.strictObject({
      hosts: z
        .array(host)
        .min(1)
        .refine((hosts) => new Set(hosts).size === hosts.length, { error: 'each host once' }),
      inbound: port,
      app: port,
    }),
  ),
});

export interface FleetService {
  readonly name: string;
  readonly hosts: readonly string[];
  readonly inbound: number;
  readonly app: number;
}

/** A snapshot of fleet.yaml. */
export interface Fleet {
  readonly services: ReadonlyMap<string, FleetService>;
  /** SHA-256 of the file, hex: what `/status` shows and the gate file pins. */
  readonly hash: string;
}

/** @throws {import('../../config/load.ts').ConfigError} */
export async function loadFleet(file: string): Promise<Fleet> {
  const source = await readYaml(file);
  const { services } = check(source, fleetSchema);
  return {
    services: new Map(Object.entries(services).map(([name, service]) => [name, { name, ...service }])),
    hash: createHash('sha256').update(source.text).digest('hex'),
  };
}
