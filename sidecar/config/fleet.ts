import { createHash } from 'node:crypto';
import * as z from 'zod';
import { check, readYaml } from '../../config/load.ts';
import { hostAddress, port, serviceName } from '../../config/units.ts';
import { fieldNames, foldedName, isIdentityName } from '../terms/field-names.ts';

const service = z
  .strictObject({
    hosts: z
      .array(hostAddress)
      .min(1, { error: 'a list of at least one host' })
      .refine((hosts) => new Set(hosts).size === hosts.length, { error: 'each host once' })
      .describe('The addresses of the VMs that the service runs on.'),
    inbound: port
      .optional()
      .describe("The sidecar's port on every host. Without it and `app` the service only calls others."),
    app: port.optional().describe("The service's own port, on loopback of every host."),
  })
  .superRefine(({ inbound, app }, context) => {
    if ((inbound === undefined) === (app === undefined)) return;
    const missing = inbound === undefined ? 'inbound' : 'app';
    context.addIssue({
      code: 'custom',
      path: [missing],
      message: 'a port: a service has both inbound and app, or, when it only calls others, neither',
    });
  });

/** Every field that the data path knows is about framing or connection, written by a sidecar, or covered already. */
const ownFields = new Set<string>(fieldNames);
const fieldText = 'a field name in lower case, such as x-user-id';

const coveredField = z
  .string({ error: fieldText })
  .regex(/^[!#$%&'*+.^_`|~0-9a-z-]{1,64}$/, { error: fieldText })
  .refine((name) => !ownFields.has(foldedName(name)) && !isIdentityName(foldedName(name)), {
    error: 'a field that the sidecars pass on unchanged: others are covered already, or end at the sidecar',
  })
  .meta({ kind: 'field name' });

/** fleet.yaml: who is where. */
export const fleetSchema = z
  .strictObject({
    services: z.record(serviceName, service).describe('One entry a service, by its name.'),
    covered_fields: z
      .array(coveredField)
      .max(32, { error: 'at most 32 fields' })
      .refine((names) => new Set(names.map(foldedName)).size === names.length, { error: 'each field once' })
      .default([])
      .describe('Fields that every signature must cover when they are present.'),
    operators: z
      .array(serviceName)
      .default([])
      .describe("Services that may read the sidecars' documents over the network."),
  })
  .superRefine(({ services, operators }, context) => {
    const known = Object.keys(services).join(', ');
    for (const [index, name] of operators.entries()) {
      if (!Object.hasOwn(services, name))
        context.addIssue({ code: 'custom', path: ['operators', index], message: `one of ${known}` });
      else if (operators.indexOf(name) < index)
        context.addIssue({ code: 'custom', path: ['operators', index], message: 'each service once' });
    }
    const holders = new Map<string, string>();
    for (const [name, { hosts, inbound, app }] of Object.entries(services)) {
      for (const key of ['inbound', 'app'] as const) {
        const number = { inbound, app }[key];
        if (number === undefined) continue;
        for (const host of hosts) {
          const holder = holders.get(`${host} ${number}`);
          if (holder === undefined) holders.set(`${host} ${number}`, name);
          else if (holder !== name || key === 'app') {
            context.addIssue({
              code: 'custom',
              path: ['services', name, key],
              message: `a port of its own: ${holder === name ? 'inbound' : holder} has ${number} on ${host}`,
            });
            break;
          }
        }
      }
    }
  });

export interface FleetService {
  readonly name: string;
  readonly hosts: readonly string[];
  /** The sidecar's port; undefined, as `app` is then, when the service only calls others. */
  readonly inbound?: number | undefined;
  /** The service's own port. */
  readonly app?: number | undefined;
}

/** A snapshot of fleet.yaml. */
export interface Fleet {
  readonly services: ReadonlyMap<string, FleetService>;
  /** Fields that signatures must cover when they are present, in lower case. */
  readonly coveredFields: readonly string[];
  /** Services that may read the sidecars' documents over the network. */
  readonly operators: readonly string[];
  /** SHA-256 of the file, hex: what `/status` shows and the gate file pins. */
  readonly hash: string;
}

/** @throws {import('../../config/load.ts').ConfigError} */
export async function loadFleet(file: string): Promise<Fleet> {
  const source = await readYaml(file);
  const { services, covered_fields, operators } = check(source, fleetSchema, 'fleet.yaml');
  return {
    services: new Map(Object.entries(services).map(([name, service]) => [name, { name, ...service }])),
    coveredFields: covered_fields,
    operators,
    hash: createHash('sha256').update(source.text).digest('hex'),
  };
}

/**
 * Whether a service is an operator that only calls: its hosts need no sidecar, because the commands that read the fleet take
 * its keyring themselves.
 */
export function isKeyringOnly({ services, operators }: Fleet, name: string): boolean {
  return services.get(name)?.inbound === undefined && operators.includes(name);
}
