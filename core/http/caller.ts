import type { FastifyRequest } from 'fastify';

/** The calling service, as its sidecar has proven it. */
export function callerOf(request: FastifyRequest): string | null {
  const caller = request.headers['x-service-id'];
  return typeof caller === 'string' && /^[a-z0-9-]{1,63}$/.test(caller) ? caller : null;
}
