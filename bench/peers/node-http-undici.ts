import { startNodeServer } from './node-server.ts';
import type { Peer } from './peer.ts';
import { packageVersion } from './version-of.ts';

export const nodeHttpUndici: Peer = {
  id: 'node-http-undici',
  title: 'node:http + undici, our verifier',
  dialect: 'rfc9421',
  checks: true,
  version: () => `${process.versions.node} / ${packageVersion('undici')}`,
  start: (place) => startNodeServer(place, 'node-http-undici'),
};
