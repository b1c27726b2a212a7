import { startNodeServer } from './node-server.ts';
import type { Peer } from './peer.ts';
import { packageVersion } from './version-of.ts';

export const fastifyHttpProxy: Peer = {
  id: 'fastify-http-proxy',
  title: '@fastify/http-proxy',
  dialect: 'plain',
  checks: false,
  version: () => packageVersion('@fastify/http-proxy'),
  start: (place) => startNodeServer(place, 'fastify-http-proxy'),
};
