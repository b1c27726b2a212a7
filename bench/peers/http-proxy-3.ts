import { startNodeServer } from './node-server.ts';
import type { Peer } from './peer.ts';
import { packageVersion } from './version-of.ts';

export const httpProxy3: Peer = {
  id: 'http-proxy-3',
  title: 'http-proxy-3, our verifier',
  dialect: 'rfc9421',
  checks: true,
  version: () => packageVersion('http-proxy-3'),
  start: (place) => startNodeServer(place, 'http-proxy-3'),
};
