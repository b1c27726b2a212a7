import { callee } from './fleet.ts';
import { binary, configure, type SidecarSettings, startSidecar } from './our-sidecar.ts';
import type { Peer } from './peer.ts';
import { versionOf } from './version-of.ts';

/** The sidecar of the callee, alone: the generator signs. */
export function inboundWith(id: string, title: string, settings: SidecarSettings): Peer {
  return {
    id,
    title,
    dialect: 'rfc9421',
    checks: true,
    ours: true,
    version: () => versionOf(binary, '--version'),
    async start(place) {
      const sidecars = await configure(place, settings);
      const sidecar = await startSidecar(sidecars, callee, place.cores, settings.command);
      return { port: sidecars.inboundPort, pids: [sidecar.pid], stop: sidecar.stop };
    },
  };
}

/** Generators open all their connections from one address before they prove anything. */
const limits = 'limits: { unproven_connections: 12000, per_address: 12000 }';

export const countersignInbound = inboundWith('countersign-inbound', 'Countersign inbound', {
  further: limits,
});
