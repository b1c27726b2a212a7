import type { FastifyInstance } from 'fastify';
import * as z from 'zod';

const partSchema = z.looseObject({ status: z.enum(['ok', 'degraded']) });

/** One part of the service and how it is. */
export type HealthOfPart = z.output<typeof partSchema>;

/**
 * `GET /health` (and `/api/health`, the path that every service of a fleet has): 200 as long as the service answers; `degraded`
 * when it does so without one of its parts.
 */
export function healthRoutes(
  app: FastifyInstance,
  version: string,
  parts: Readonly<Record<string, () => HealthOfPart>>,
): void {
  for (const url of ['/health', '/api/health']) {
    app.get(
      url,
      {
        schema: {
          tags: ['operations'],
          summary: 'How the service is',
          response: {
            200: z.object({
              status: z.enum(['ok', 'degraded']),
              version: z.string(),
              parts: z.record(z.string(), partSchema),
            }),
          },
        },
      },
      async () => {
        const found = Object.entries(parts).map(([name, part]) => [name, part()] as const);
        const degraded = found.some(([, { status }]) => status === 'degraded');
        return { status: degraded ? 'degraded' : 'ok', version, parts: Object.fromEntries(found) };
      },
    );
  }
}
