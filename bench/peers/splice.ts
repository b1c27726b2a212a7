import { startNodeServer } from './node-server.ts';
import type { Peer } from './peer.ts';

export const splice: Peer = {
  id: 'splice',
  title: 'splice: bytes in, bytes out',
  dialect: 'plain',
  checks: false,
  note: 'the floor: our sockets, nothing parsed',
  version: () => process.versions.node,
  start: (place) => startNodeServer(place, 'splice'),
};

/** The machine's own SHA-256 rate over the same bytes: what no proxy that checks a digest can beat. */
export const hashingSplice: Peer = {
  id: 'hashing-splice',
  title: 'splice that hashes what goes up',
  dialect: 'plain',
  checks: false,
  version: () => process.versions.node,
  start: (place) => startNodeServer(place, 'hashing-splice'),
};
