import { callee, caller } from './fleet.ts';
import { binary, configure, startSidecar } from './our-sidecar.ts';
import type { Peer } from './peer.ts';
import { versionOf } from './version-of.ts';

/** Both sidecars of a call, on the same core: the generator is the app that knows of no key. */
export const countersignPair: Peer = {
  id: 'countersign-pair',
  title: 'Countersign outbound + inbound',
  dialect: 'plain',
  checks: false,
  ours: true,
  note: 'two proxies: signs and checks',
  version: () => versionOf(binary, '--version'),
  async start(place) {
    const sidecars = await configure(place);
    const inbound = await startSidecar(sidecars, callee, place.cores);
    const outbound = await startSidecar(sidecars, caller, place.cores);
    return {
      port: sidecars.outboundPort,
      pids: [outbound.pid, inbound.pid],
      stop: async () => {
        await Promise.all([outbound.stop(), inbound.stop()]);
      },
    };
  },
};
