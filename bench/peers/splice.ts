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
