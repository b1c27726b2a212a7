import type { FastifyInstance } from 'fastify';
import type { CallerLimits } from '../limits/caller-limits.ts';
import { callerOf } from './caller.ts';

/** What operators ask is never refused. */
const unlimited = new Set(['/health', '/api/health', '/metrics']);

/** Refuses requests of callers that are over their rate before anything of them is read. */
export function useLimits(app: FastifyInstance, limits: CallerLimits): void {
  app.addHook('onRequest', async (request) => {
    if (!unlimited.has(request.routeOptions.url ?? '')) limits.request(callerOf(request) ?? '');
  });
}
