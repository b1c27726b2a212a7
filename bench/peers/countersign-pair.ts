import { callee, caller } from './fleet.ts';
import { binary, configure, type SidecarSettings, startSidecar } from './our-sidecar.ts';
import type { Peer, Place, RunningPeer } from './peer.ts';
import { versionOf } from './version-of.ts';

/** Starts both sidecars of a call on one core; the admin port is that of the callee's. */
export async function startPair(
  place: Place,
  command: readonly [string, ...string[]] = [binary],
  settings: SidecarSettings = {},
): Promise<RunningPeer & { readonly inboundPort: number; readonly adminPort: number }> {
  const sidecars = await configure(place, settings);
  const inbound = await startSidecar(sidecars, callee, place.cores, command);
  const outbound = await startSidecar(sidecars, caller, place.cores, command);
  return {
    port: sidecars.outboundPort,
    inboundPort: sidecars.inboundPort,
    adminPort: sidecars.adminPorts[callee]!,
    pids: [outbound.pid, inbound.pid],
    stop: async () => {
      await Promise.all([outbound.stop(), inbound.stop()]);
    },
  };
}

/** The generator is the app that knows of no key; the hop between the sidecars is inside TLS. */
export const countersignPair: Peer = {
  id: 'countersign-pair',
  title: 'Countersign outbound + inbound',
  dialect: 'plain',
  checks: false,
  ours: true,
  note: 'two proxies: signs and checks, inside TLS',
  version: () => versionOf(binary, '--version'),
  start: (place) => startPair(place),
};
