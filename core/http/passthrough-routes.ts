import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import type { ModelFleet } from '../llm/model-fleet.ts';
import type { ModelTransport } from '../llm/transport.ts';
import { onwardFields } from '../terms/onward.ts';
import { hangUpOf } from './event-stream-reply.ts';
import { onwardOf } from './onward.ts';
import { errorAnswers, type ZodTypes } from './schemas.ts';

export interface PassthroughOptions {
  readonly transport: ModelTransport;
  readonly fleet: ModelFleet;
  readonly defaultModel: string;
  readonly bodyLimitBytes: number;
  /** A whole call may take this long. */
  readonly turnMs: number;
}

/** Routes that go to the model server as they are: no session, no window; retries as everywhere, no fallbacks. */
export function passthroughRoutes(server: FastifyInstance, options: PassthroughOptions): void {
  const app = server.withTypeProvider<ZodTypes>();
  for (const [path, summary] of [
    ['/v1/embeddings', 'Embeddings, passed through to the model server'],
    ['/v1/completions', 'Completions of a text, passed through to the model server'],
  ] as const) {
    app.post(
      path,
      {
        bodyLimit: options.bodyLimitBytes,
        schema: {
          tags: ['chat'],
          summary,
          body: z.looseObject({ model: z.string().min(1).max(256).optional() }),
          response: { 200: z.unknown(), ...errorAnswers },
        },
      },
      async (request, reply) => {
        const { body } = request;
        const model = body.model ?? options.defaultModel;
        const signal = AbortSignal.any([hangUpOf(reply), AbortSignal.timeout(options.turnMs)]);
        const headers = onwardFields(onwardOf(request));
        const sent = JSON.stringify({ ...body, model });
        const call = { method: 'POST', path, body: sent, signal, headers } as const;
        const answer = await options.fleet.ask(model, signal, () => options.transport.send(call));
        const type = answer.headers['content-type'];
        return reply.type(typeof type === 'string' ? type : 'application/json').send(answer.body);
      },
    );
  }
}
