import { UsageError } from '../terms/exit-codes.ts';

/** The part of fleet.yaml that decides about ports. */
export interface PlacedService {
  readonly name: string;
  readonly hosts: readonly string[];
  readonly inbound?: number | undefined;
  readonly app?: number | undefined;
}

/** The ports of one sidecar; all but `inbound` are on loopback. */
export interface SidecarPorts {
  readonly inbound: number;
  readonly outbound: number;
  readonly admin: number;
}

/** Where the first sidecar of a machine is called. */
export const firstInbound = 15_006;
/** Between a service and the next one on the same machine. */
const step = 100;
const mostServicesOfAMachine = 400;

/** `outbound` and `admin` follow from the port that fleet.yaml tells everyone. */
export function portsOf(inbound: number): SidecarPorts {
  return { inbound, outbound: inbound - 5, admin: inbound - 6 };
}

/**
 * The first ports that no service on the same machines uses: 15006 inbound, 15001 outbound, 15000 admin, and 100 more
 * for each further service.
 *
 * @throws {UsageError} when none are left
 */
export function choosePorts(wish: PlacedService, others: readonly PlacedService[]): SidecarPorts {
  const taken = new Set([
    wish.app,
    ...others.filter((other) => shareMachine(wish, other)).flatMap((other) => portsHeldBy(other)),
  ]);
  for (let index = 0; index < mostServicesOfAMachine; index++) {
    const ports = portsOf(firstInbound + step * index);
    if (Object.values(ports).every((number) => !taken.has(number))) return ports;
  }
  throw new UsageError(
    `found no free ports for ${wish.name} on ${wish.hosts.join(', ')}, expected three in 15000 to 55000`,
  );
}

/** The other service, if any, that would use a port of this one on one of its machines. */
export function clashingService(
  service: PlacedService,
  others: readonly PlacedService[],
): PlacedService | undefined {
  const own = new Set(portsHeldBy(service));
  return others.find(
    (other) => shareMachine(service, other) && portsHeldBy(other).some((number) => own.has(number)),
  );
}

function portsHeldBy({ inbound, app }: PlacedService): number[] {
  return [
    ...(app === undefined ? [] : [app]),
    ...(inbound === undefined ? [] : Object.values(portsOf(inbound))),
  ];
}

function shareMachine(one: PlacedService, other: PlacedService): boolean {
  const machines = new Set(one.hosts.map(machineOf));
  return other.hosts.some((host) => machines.has(machineOf(host)));
}

/** All addresses of loopback are the same machine. */
export function machineOf(host: string): string {
  return host.startsWith('127.') || host === '::1' ? 'loopback' : host;
}
