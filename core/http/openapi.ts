import swagger from '@fastify/swagger';
import type { FastifyInstance, FastifySchema } from 'fastify';
import * as z from 'zod';
import { openApiPage } from './openapi-page.ts';
import { toJsonSchema } from './schemas.ts';

/** `GET /openapi.json` made from the routes' zod schemas, and `GET /docs`, a page that shows it. Register before the routes. */
export async function useOpenApi(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Countersign core service',
        version,
        description: 'Chat with session memory behind an OpenAI-compatible API, and conversation files.',
      },
    },
    transform: ({ schema, url }) => ({ schema: describeSchema(schema), url }),
  });
  // Made once, before the service listens: the plugin reads its package.json synchronously.
  let page = '';
  app.addHook('onReady', async () => {
    page = JSON.stringify(app.swagger());
  });
  app.get('/openapi.json', { schema: { hide: true } as FastifySchema }, async (_request, reply) =>
    reply.type('application/json; charset=utf-8').send(page),
  );
  app.get('/docs', { schema: { hide: true } as FastifySchema }, async (_request, reply) =>
    reply
      .type('text/html; charset=utf-8')
      .header(
        'content-security-policy',
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'",
      )
      .send(openApiPage),
  );
}

function describeSchema(schema: FastifySchema): FastifySchema {
  const described: Record<string, unknown> = { ...schema };
  for (const part of ['body', 'querystring', 'params', 'headers'] as const) {
    if (schema?.[part] instanceof z.ZodType) described[part] = toJsonSchema(schema[part], 'input');
  }
  const response = schema?.response as Record<string, unknown> | undefined;
  if (response !== undefined) {
    described.response = Object.fromEntries(
      Object.entries(response).map(([status, answer]) => [
        status,
        answer instanceof z.ZodType ? toJsonSchema(answer, 'output') : answer,
      ]),
    );
  }
  return described;
}
