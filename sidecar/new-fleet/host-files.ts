import { Template } from '@huggingface/jinja';
import { parse } from 'yaml';
import type { PolicyTexts } from './policy-text.ts';
import { portsOf, type SidecarPorts } from './ports.ts';

/** A file of a host's folder. */
export interface HostFile {
  /** Below the host's folder. */
  readonly name: string;
  readonly text: string;
  readonly mode: 0o600 | 0o644 | 0o755;
}

/** One sidecar to be installed: a service that is called, on one of its hosts. */
export interface SidecarPlace {
  readonly service: string;
  readonly host: string;
  readonly inbound: number;
  readonly app: number;
}

/** Reads a text of the project by its path from the top of the repository. */
export type ReadAsset = (path: string) => string;

/** The role of Ansible whose templates and defaults these are: there is one source of what hosts get. */
const role = 'ansible/roles/countersign_sidecar';

/** What the files say of themselves at their top. */
export const managedBy = 'Written by countersign init';

/** Units whose templates need nothing of a single host. */
const plainUnits = [
  'countersign-sockets.service',
  'countersign-alarm@.service',
  'countersign-way-back.service',
  'countersign-way-back.timer',
] as const;

/** Everything that stays as it is when the fleet changes later: sidecar.yaml, the units, install.sh. */
export function fixedFiles(place: SidecarPlace, policy: PolicyTexts, readAsset: ReadAsset): HostFile[] {
  const ports = portsOf(place.inbound);
  const values = valuesOf(place, ports, policy, readAsset);
  const render = (template: string, further: Record<string, unknown> = {}) =>
    renderTemplate(readAsset(`${role}/templates/${template}.j2`), { ...values, ...further });
  const units = [
    ...socketsOf(values).map((item) => ({
      name: `countersign-${item.name}.socket`,
      text: render('countersign.socket', { item }),
    })),
    ...(['logging', 'enforcing'] as const).map((phase) => ({
      name: `countersign-${phase}@.service`,
      text: render('countersign-sidecar@.service', { item: { phase } }),
    })),
    ...plainUnits.map((name) => ({ name, text: render(name) })),
  ];
  return [
    { name: 'sidecar.yaml', text: render('sidecar.yaml'), mode: 0o644 },
    ...units.map(({ name, text }) => ({ name: `units/${name}`, text, mode: 0o644 as const })),
    { name: 'alarm', text: render('alarm'), mode: 0o755 },
    { name: 'host.env', text: hostEnv(place, ports), mode: 0o644 },
    { name: 'install.sh', text: readAsset('sidecar/new-fleet/install.sh'), mode: 0o755 },
  ];
}

/** As Ansible's template module does: a line feed stays at the end, but for one that ends the line of a block. */
function renderTemplate(text: string, values: Record<string, unknown>): string {
  const rendered = new Template(text).render(values);
  return text.endsWith('%}\n') ? rendered : `${rendered}\n`;
}

/** The role's defaults, and what Ansible takes from the inventory and from fleet.yaml. */
function valuesOf(
  { service, host }: SidecarPlace,
  ports: SidecarPorts,
  policy: PolicyTexts,
  readAsset: ReadAsset,
) {
  return {
    ...(parse(readAsset(`${role}/defaults/main.yml`)) as Record<string, unknown>),
    ansible_managed: managedBy,
    countersign_sidecar_service: service,
    countersign_sidecar_outbound: `127.0.0.1:${ports.outbound}`,
    countersign_sidecar_admin: `127.0.0.1:${ports.admin}`,
    countersign_sidecar_inbound_address: host.includes(':') ? '[::]' : '0.0.0.0',
    _countersign_sidecar_fleet: parse(policy.fleet) as unknown,
    _countersign_sidecar_inbound: ports.inbound,
    _countersign_sidecar_socket_units: [
      'countersign-outbound.socket',
      'countersign-inbound.socket',
      'countersign-admin.socket',
    ],
  };
}

/** `_countersign_sidecar_sockets` of the role, which only Ansible can evaluate. */
function socketsOf(values: ReturnType<typeof valuesOf>) {
  return [
    {
      name: 'outbound',
      description: 'calls of the local service',
      listen: [values.countersign_sidecar_outbound],
    },
    {
      name: 'inbound',
      description: 'calls from peers',
      listen: [`${values.countersign_sidecar_inbound_address}:${values._countersign_sidecar_inbound}`],
    },
    { name: 'admin', description: 'metrics and status', listen: [values.countersign_sidecar_admin] },
  ];
}

/** What install.sh has to know. Names and addresses of fleet.yaml need no quotes. */
function hostEnv({ service, host, app }: SidecarPlace, ports: SidecarPorts): string {
  return `SERVICE=${service}
HOST=${host}
INBOUND=${ports.inbound}
OUTBOUND=${ports.outbound}
ADMIN=${ports.admin}
APP=${app}
`;
}
