import { randomUUID } from 'node:crypto';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import type { Registry } from 'prom-client';
import type { Feed } from '../../signals/feed.ts';
import { earlyErrors, useOpenAiErrors } from './errors.ts';
import { useJsonBounds } from './json-bounds.ts';
import { useMetrics } from './metrics.ts';
import { useTraces } from './onward.ts';
import { useOpenApi } from './openapi.ts';
import { useZod } from './schemas.ts';

/** Longest JSON body: far more than any model's window takes. */
const bodyLimitBytes = 4 * 1024 * 1024;
const requestIdForm = /^[A-Za-z0-9._:-]{1,128}$/;

/** The HTTP server with what every route shares: validation, errors, request log, metrics, OpenAPI page. */
export async function buildServer(
  logger: FastifyBaseLogger,
  registry: Registry,
  version: string,
  traces: Feed | undefined,
): Promise<FastifyInstance> {
  const app = Fastify({
    ...earlyErrors,
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    bodyLimit: bodyLimitBytes,
    // What is too long for a name is for its schema to say, in the shape of all errors.
    routerOptions: { maxParamLength: 16_384 },
    // A client that dawdles over its head or body must not hold a connection for ever.
    requestTimeout: 300_000,
    forceCloseConnections: 'idle',
    genReqId: (request) => {
      const given = request.headers['x-request-id'];
      return typeof given === 'string' && requestIdForm.test(given) ? given : randomUUID();
    },
  });
  useZod(app);
  useJsonBounds(app);
  useOpenAiErrors(app);
  useMetrics(app, registry, version);
  useTraces(app, traces);
  app.addHook('onResponse', async (request, reply) => {
    request.log.info(
      {
        caller: request.headers['x-service-id'],
        method: request.method,
        route: request.routeOptions.url,
        status: reply.raw.statusCode,
        ms: Math.round(reply.elapsedTime),
      },
      'request',
    );
  });
  await useOpenApi(app, version);
  return app;
}
