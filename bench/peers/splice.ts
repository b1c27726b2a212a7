import { startNodeServer } from './node-server.ts';
import type { Peer } from './peer.ts';

export const splice: Peer = {
  id: 'splice',
  title: 'TCP splice on Node',
  dialect: 'plain',
  checks: false,
  note: 'parses nothing',
  version: () => process.versions.node,
  start: (place) => startNodeServer(place, 'splice'),
};

/** The machine's own SHA-256 rate over the same bytes: what no proxy that checks a digest can beat. */
export const hashingSplice: Peer = {
  id: 'hashing-splice',
  title: 'TCP splice that hashes what goes up',
  dialect: 'plain',
  checks: false,
  version: () => process.versions.node,
  start: (place) => startNodeServer(place, 'hashing-splice'),
};
