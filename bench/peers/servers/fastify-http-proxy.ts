/** @fastify/http-proxy as it comes: it checks nothing. */

import type { AddressInfo } from 'node:net';
import fastifyHttpProxy from '@fastify/http-proxy';
import fastify from 'fastify';
import { readSettings } from './settings.ts';

const { app } = readSettings();
const server = fastify();
await server.register(fastifyHttpProxy, {
  upstream: `http://127.0.0.1:${app}`,
  undici: { connections: 256, pipelining: 1 },
});
await server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 });
console.log(`ready ${(server.server.address() as AddressInfo).port}`);
