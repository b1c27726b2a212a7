import { type ListenAddress, parseListenAddress } from '../../config/address.ts';
import type { InheritedSockets } from '../../config/inherited-sockets.ts';
import { ConfigError } from '../../config/load.ts';
import type { SidecarConfig } from '../config/sidecar-config.ts';
import type { ListenOn } from './bind.ts';

/** What one thread listens on. */
export interface ListenPlan {
  readonly outbound: readonly ListenOn[];
  readonly inbound: readonly ListenOn[];
}

/**
 * Who listens on what. Every thread has sockets of its own, so that none can close another's: of an inherited name
 * there are as many for each address as there are workers, one after the other; addresses of our own are opened by
 * all with SO_REUSEPORT. UNIX sockets are there for one worker only.
 *
 * @returns one plan a worker
 * @throws {ConfigError} when the inherited sockets do not suffice
 */
export function listenPlans(file: string, config: SidecarConfig, sockets: InheritedSockets): ListenPlan[] {
  const { workers } = config;
  const outbound = [...(sockets.byName.get('outbound') ?? []), ...(sockets.byName.get('route') ?? [])];
  const inbound = sockets.byName.get('inbound') ?? [];
  for (const [name, fds] of [
    ['outbound', outbound],
    ['inbound', inbound],
  ] as const) {
    if (fds.length % workers === 0) continue;
    throw new ConfigError([
      {
        file,
        line: 0,
        column: 0,
        path: 'workers',
        found: `${workers} workers and ${fds.length} inherited "${name}" sockets`,
        expected:
          'each socket once for every worker (in the .socket unit: ReusePort=yes and as many equal ListenStream lines)',
      },
    ]);
  }
  const { group } = config.outbound;
  const on = (address: ListenAddress) =>
    'path' in address ? { ...address, group } : { ...address, reusePort: workers > 1 };
  const own = {
    outbound: [
      on(config.outbound.listen),
      ...Object.entries(config.outbound.routes).map(([at, route]) => ({
        ...on(parseListenAddress(at) as ListenAddress),
        route,
      })),
    ],
    inbound: config.inbound === undefined ? [] : [on(config.inbound.listen)],
  };
  const share = (fds: readonly number[], worker: number): ListenOn[] =>
    fds.filter((_, index) => index % workers === worker).map((fd) => ({ fd }));
  return Array.from({ length: workers }, (_, worker) => ({
    outbound: outbound.length > 0 ? share(outbound, worker) : own.outbound,
    inbound: inbound.length > 0 ? share(inbound, worker) : own.inbound,
  }));
}
