import { Template } from '@huggingface/jinja';
import { parse } from 'yaml';
import type { PolicyTexts } from './policy-text.ts';
import { firstInbound, portsOf, type SidecarPorts } from './ports.ts';

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
  'countersign-guard@.service',
  'countersign-guard-rollback.path',
  'countersign-guard-rollback.service',
  'countersign-guard-restart.path',
  'countersign-guard-restart.service',
] as const;

/** Stands in guard.yaml for the version that install.sh installs. */
const versionMark = '@VERSION@';

/** Everything that stays as it is when the fleet changes later: sidecar.yaml, the units, install.sh. */
export function fixedFiles(place: SidecarPlace, policy: PolicyTexts, readAsset: ReadAsset): HostFile[] {
  const ports = portsOf(place.inbound);
  const values = valuesOf(place, ports, policy, readAsset);
  const render = (name: string) => renderTemplate(readAsset(`${role}/templates/${name}.j2`), values);
  return [
    { name: 'sidecar.yaml', text: render('sidecar.yaml'), mode: 0o644 },
    { name: 'guard.yaml', text: render('guard.yaml'), mode: 0o644 },
    ...unitsOf(values, readAsset).map(({ name, text }) => ({
      name: `units/${name}`,
      text,
      mode: 0o644 as const,
    })),
    { name: 'alarm', text: render('alarm'), mode: 0o755 },
    { name: 'host.env', text: hostEnv(place, ports), mode: 0o644 },
    { name: 'install.sh', text: readAsset('sidecar/new-fleet/install.sh'), mode: 0o755 },
  ];
}

/** The units of a package, which are the same on every host: sockets on the usual ports, programs below /usr. */
export function packagedUnits(readAsset: ReadAsset): { name: string; text: string }[] {
  const values = {
    ...defaultsOf(readAsset),
    ansible_managed: 'Of the package countersign-sidecar',
    _countersign_sidecar_program: '/usr/bin/countersign',
    _countersign_sidecar_alarm: '/usr/lib/countersign/alarm',
    _countersign_sidecar_inbound: firstInbound,
  };
  return [
    ...unitsOf(values, readAsset),
    { name: 'alarm', text: renderTemplate(readAsset(`${role}/templates/alarm.j2`), values) },
  ];
}

function unitsOf(values: UnitValues, readAsset: ReadAsset): { name: string; text: string }[] {
  const render = (template: string, further: Record<string, unknown> = {}) =>
    renderTemplate(readAsset(`${role}/templates/${template}.j2`), { ...values, ...further });
  return [
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
}

/** As Ansible's template module does: a line feed stays at the end, but for one that ends the line of a block. */
function renderTemplate(text: string, values: Record<string, unknown>): string {
  const rendered = new Template(text).render(values);
  return text.endsWith('%}\n') ? rendered : `${rendered}\n`;
}

/** What the role's own variables say; those that only Ansible can evaluate are below. */
function defaultsOf(readAsset: ReadAsset) {
  return {
    ...(parse(readAsset(`${role}/defaults/main.yml`)) as Record<string, unknown>),
    _countersign_sidecar_program: '/usr/local/bin/countersign',
    _countersign_sidecar_alarm: '/usr/local/lib/countersign/alarm',
    countersign_sidecar_outbound: '127.0.0.1:15001',
    countersign_sidecar_admin: '127.0.0.1:15000',
    countersign_sidecar_inbound_address: '0.0.0.0',
    _countersign_sidecar_socket_units: [
      'countersign-outbound.socket',
      'countersign-inbound.socket',
      'countersign-admin.socket',
    ],
  };
}

type UnitValues = ReturnType<typeof defaultsOf> & { readonly _countersign_sidecar_inbound: number };

/** The role's defaults, and what Ansible takes from the inventory and from fleet.yaml. */
function valuesOf(
  { service, host }: SidecarPlace,
  ports: SidecarPorts,
  policy: PolicyTexts,
  readAsset: ReadAsset,
) {
  return {
    ...defaultsOf(readAsset),
    ansible_managed: managedBy,
    countersign_sidecar_service: service,
    countersign_sidecar_outbound: `127.0.0.1:${ports.outbound}`,
    countersign_sidecar_admin: `127.0.0.1:${ports.admin}`,
    countersign_sidecar_inbound_address: host.includes(':') ? '[::]' : '0.0.0.0',
    _countersign_sidecar_fleet: parse(policy.fleet) as unknown,
    _countersign_sidecar_inbound: ports.inbound,
    _countersign_sidecar_version: versionMark,
  };
}

/** `_countersign_sidecar_sockets` of the role, which only Ansible can evaluate. */
function socketsOf(values: UnitValues) {
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
