import type { Fleet } from '../../sidecar/config/fleet.ts';
import type { KeyringFile } from '../../sidecar/keyring/keyring-file.ts';
import { renderKeyrings } from '../../sidecar/rotation/render.ts';
import type { ServiceRoots } from '../../sidecar/rotation/roots.ts';

/** A fleet by service names and hosts. */
export function fleetOf(services: Record<string, readonly string[]>, inbound = 15006, app = 8080): Fleet {
  return {
    services: new Map(Object.entries(services).map(([name, hosts]) => [name, { name, hosts, inbound, app }])),
    coveredFields: [],
    operators: [],
    hash: '0'.repeat(64),
  };
}

/** fleet.yaml of a fleet. */
export function fleetYaml(fleet: Fleet): string {
  const lines = [...fleet.services.values()].map(
    ({ name, hosts, inbound, app }) =>
      `  ${name}: { hosts: [${hosts.map((host) => JSON.stringify(host)).join(', ')}], inbound: ${inbound}, app: ${app} }`,
  );
  return `services:\n${lines.join('\n')}\n`;
}

/** Keyrings as the rotator makes them, from roots that are the same in every run. */
export function keyringsOf(fleet: Fleet): Map<string, KeyringFile> {
  const roots = [...fleet.services.keys()].map((name, index): [string, ServiceRoots] => [
    name,
    {
      current: { kid: `${name}/1`, key: Buffer.alloc(32, index + 1), createdAt: '2026-11-01T00:00:00.000Z' },
    },
  ]);
  return renderKeyrings(fleet, { services: new Map(roots) }, Date.parse('2026-11-02T00:00:00Z'));
}
