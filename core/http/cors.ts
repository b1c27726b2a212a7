import fastifyCors from '@fastify/cors';
import type { FastifyInstance } from 'fastify';
import type { CoreConfig } from '../config/core-config.ts';

/** Lets the web pages of some origins call the service from a browser (https://fetch.spec.whatwg.org/#http-cors-protocol). */
export async function useCors(app: FastifyInstance, cors: CoreConfig['cors']): Promise<void> {
  if (cors === undefined) return;
  await app.register(fastifyCors, {
    origin: cors.origins.includes('*') ? '*' : [...cors.origins],
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    exposedHeaders: [
      'x-request-id',
      'x-context-messages',
      'x-context-tokens',
      'retry-after',
      'etag',
      'location',
    ],
    maxAge: Math.floor(cors.max_age / 1000),
  });
}
