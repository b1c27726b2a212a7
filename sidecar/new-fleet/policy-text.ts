import { type Document, isMap, isSeq } from 'yaml';
import { parseYaml, type Source } from '../../config/load.ts';
import { UsageError } from '../terms/exit-codes.ts';
import { choosePorts, clashingService, machineOf, type PlacedService } from './ports.ts';
import type { HostWish, RuleWish, ServiceWish } from './wishes.ts';

const fleetStart = `# Who is where. The same file on every host.
services: {}
`;
const matrixStart = `# Who may call what. The same file on every host; what no rule allows is denied.
services: {}
`;

/** What a fleet is to have, or to get. */
export interface Wishes {
  readonly services: readonly ServiceWish[];
  readonly operators: readonly HostWish[];
  /** Further hosts of services that are there. */
  readonly hosts: readonly HostWish[];
  readonly rules: readonly RuleWish[];
}

/** The texts of the two files that every host has. */
export interface PolicyTexts {
  readonly fleet: string;
  readonly authorization: string;
}

export const newPolicy: PolicyTexts = { fleet: fleetStart, authorization: matrixStart };

/**
 * Adds what is wished for; comments and everything else that is there stays.
 *
 * @throws {UsageError} what is there already, ports that clash, unknown services
 */
export function withWishes(before: PolicyTexts, wishes: Wishes): PolicyTexts {
  return {
    fleet: fleetWith(before.fleet, wishes),
    authorization: matrixWith(before.authorization, wishes.rules),
  };
}

function fleetWith(text: string, { services, operators, hosts }: Wishes): string {
  if (services.length + operators.length + hosts.length === 0) return text;
  const source = parseYaml('fleet.yaml', text);
  const { document } = source;
  const placed = placedServices(source);
  const there = new Set(placed.map(({ name }) => name));
  for (const service of mergedServices(services)) {
    refuseKnown(there, service.name);
    const { inbound } = choosePorts(service, placed);
    placed.push({ ...service, inbound });
    setBlock(
      document,
      ['services', service.name],
      document.createNode({ hosts: service.hosts, inbound, app: service.app }),
    );
  }
  for (const { name, host } of operators) {
    refuseKnown(new Set(placed.map((service) => service.name)), name);
    placed.push({ name, hosts: [host] });
    setBlock(document, ['services', name], document.createNode({ hosts: [host] }));
    append(document, ['operators'], name);
  }
  for (const { name, host } of hosts) {
    const service = placed.find((one) => one.name === name);
    if (service === undefined)
      throw new UsageError(`found the unknown service "${name}", expected one of ${[...there].join(', ')}`);
    if (service.hosts.includes(host))
      throw new UsageError(`found ${host} among the hosts of ${name} already`);
    const others = placed.filter((one) => one !== service);
    const grown = { ...service, hosts: [...service.hosts, host] };
    const clash = clashingService(grown, others) ?? (oneMachineTwice(service, host) ? service : undefined);
    if (clash !== undefined)
      throw new UsageError(
        `found ports of ${clash.name} on ${host}, expected those of ${name} to be free there`,
      );
    placed.splice(placed.indexOf(service), 1, grown);
    append(document, ['services', name, 'hosts'], host);
  }
  return document.toString();
}

function matrixWith(text: string, rules: readonly RuleWish[]): string {
  if (rules.length === 0) return text;
  const { document } = parseYaml('authorization.yaml', text);
  for (const { callee, caller, rule } of rules) {
    const path = ['services', callee, ...(caller === undefined ? ['public'] : ['callers', caller])];
    append(document, path, rule);
  }
  return document.toString();
}

/** Several hosts are given by repeating a service. */
function mergedServices(
  wishes: readonly ServiceWish[],
): (PlacedService & { hosts: string[]; app: number })[] {
  const merged = new Map<string, PlacedService & { hosts: string[]; app: number }>();
  for (const { name, host, app } of wishes) {
    const service = merged.get(name) ?? { name, hosts: [], app };
    if (service.app !== app)
      throw new UsageError(
        `--service: found ${name} on the ports ${service.app} and ${app}, expected the same port on all of its hosts`,
      );
    if (service.hosts.includes(host))
      throw new UsageError(`--service: found ${name}=${host} twice, expected it once`);
    if (oneMachineTwice(service, host))
      throw new UsageError(`--service: found ${name} twice on this machine, expected it once`);
    service.hosts.push(host);
    merged.set(name, service);
  }
  return [...merged.values()];
}

function oneMachineTwice({ hosts }: PlacedService, host: string): boolean {
  return hosts.some((one) => machineOf(one) === machineOf(host));
}

function refuseKnown(there: ReadonlySet<string>, name: string): void {
  if (there.has(name))
    throw new UsageError(
      `found a service ${name} already, expected a new name; countersign init add host ${name}=HOST gives it a further host`,
    );
}

function placedServices({ data }: Source): PlacedService[] {
  const { services } = data as { services: Record<string, Omit<PlacedService, 'name'>> };
  return Object.entries(services).map(([name, service]) => ({ ...service, name }));
}

function append(document: Document, path: readonly string[], value: string): void {
  const there = document.getIn(path);
  if (isSeq(there)) there.add(document.createNode(value));
  else setBlock(document, path, document.createNode([value]));
}

/** An empty `{}` on the way would put everything on one line. */
function setBlock(document: Document, path: readonly string[], node: unknown): void {
  for (let depth = 0; depth < path.length; depth++) {
    const above = depth === 0 ? document.contents : document.getIn(path.slice(0, depth));
    if (isMap(above) && above.items.length === 0) above.flow = false;
  }
  document.setIn(path, node);
}
