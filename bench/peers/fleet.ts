import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Fleet } from '../../sidecar/config/fleet.ts';
import { renderKeyrings } from '../../sidecar/rotation/render.ts';
import type { ServiceRoots } from '../../sidecar/rotation/roots.ts';
import type { Identity } from '../load/signer.ts';

export const caller = 'main-backend';
export const callee = 'npu-worker';
const host = '127.0.0.1';

/** Keyrings of the two services on one host, from roots that are the same in every run. */
function keyrings() {
  const names = [caller, callee];
  const fleet: Fleet = {
    services: new Map(names.map((name) => [name, { name, hosts: [host], inbound: 1, app: 1 }])),
    coveredFields: [],
    operators: [],
    hash: '',
  };
  const roots = names.map((name, index): [string, ServiceRoots] => [
    name,
    {
      current: { kid: `${name}/1`, key: Buffer.alloc(32, index + 1), createdAt: '2026-11-01T00:00:00.000Z' },
    },
  ]);
  return [...renderKeyrings(fleet, { services: new Map(roots) }, Date.now()).values()];
}

/** Whose calls are measured: main-backend's to npu-worker. */
export function benchIdentity(): Identity {
  const { outbound } = keyrings().find(({ service }) => service === caller)!;
  const { kid, keys } = outbound[callee]!;
  return { caller, callee, kid, key: keys[host]! };
}

/** The rules that every peer enforces; `further` ones that no call matches come on top of ours. */
export function matrixYaml(further = 0): string {
  const more = Array.from({ length: further }, (_, i) => `        - GET /api/more/${i % 100}/item-${i}/*`);
  return [
    'services:',
    `  ${callee}:`,
    '    public: [ GET /api/health, POST /api/open ]',
    '    callers:',
    `      ${caller}:`,
    '        - POST /api/process',
    '        - GET /api/status/*',
    ...more,
    '',
  ].join('\n');
}

/** fleet.yaml, authorization.yaml and the keyrings, one folder a service. */
export async function writeFleetFolder(
  folder: string,
  ports: Readonly<Record<string, { readonly inbound: number; readonly app: number }>>,
  furtherRules = 0,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const lines = Object.entries(ports).map(
    ([name, { inbound, app }]) => `  ${name}: { hosts: [${host}], inbound: ${inbound}, app: ${app} }\n`,
  );
  await writeFile(join(folder, 'fleet.yaml'), `services:\n${lines.join('')}`);
  await writeFile(join(folder, 'authorization.yaml'), matrixYaml(furtherRules));
  for (const keyring of keyrings()) {
    await mkdir(join(folder, keyring.service), { recursive: true });
    await writeFile(join(folder, keyring.service, 'keyring.json'), JSON.stringify(keyring), { mode: 0o600 });
  }
}
