import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import type { ContextWindow } from '../context/context-window.ts';
import type { ServedModel, ServedModels } from '../llm/served-models.ts';
import { CoreError } from '../terms/errors.ts';
import { errorAnswers, type ZodTypes } from './schemas.ts';

const modelSchema = z.looseObject({
  id: z.string(),
  object: z.literal('model'),
  created: z.int(),
  owned_by: z.string(),
});

type ListedModel = z.output<typeof modelSchema>;

/** `GET /v1/models`: what the model server serves, joined with what llm_models.yaml says of it. */
export function modelRoutes(server: FastifyInstance, window: ContextWindow, served: ServedModels): void {
  const app = server.withTypeProvider<ZodTypes>();
  const created = Math.floor(Date.now() / 1000);

  const list = async (): Promise<ListedModel[]> => {
    const found = await served.list();
    const configured = window.models.map((id) => join(id, found, window, created));
    const others = (found ?? []).filter(({ id }) => !window.of(id).known);
    return [...configured, ...others.map(({ id }) => join(id, found, window, created))];
  };

  app.get(
    '/v1/models',
    {
      schema: {
        tags: ['chat'],
        summary: 'The models: those that llm_models.yaml names, then all others that the model server has',
        response: { 200: z.object({ object: z.literal('list'), data: z.array(modelSchema) }) },
      },
    },
    async () => ({ object: 'list' as const, data: await list() }),
  );
  // The name of a model may have slashes in it.
  app.get(
    '/v1/models/*',
    {
      schema: {
        tags: ['chat'],
        summary: 'One model',
        params: z.object({ '*': z.string() }),
        response: { 200: modelSchema, ...errorAnswers },
      },
    },
    async ({ params: { '*': name } }) => {
      const models = await list();
      const model = models.find(({ id }) => id === name);
      if (model !== undefined) return model;
      throw new CoreError(
        'not_found',
        `no model ${name}; there are ${models.map(({ id }) => id).join(', ')}`,
      );
    },
  );
}

function join(
  id: string,
  found: readonly ServedModel[] | undefined,
  window: ContextWindow,
  created: number,
): ListedModel {
  const server = found?.find((model) => model.id === id);
  const { known, limits } = window.of(id);
  return {
    created,
    owned_by: 'countersign',
    ...server,
    id,
    object: 'model',
    ...(found === undefined ? {} : { served: server !== undefined }),
    ...(known
      ? {
          context_window_tokens: limits.context_window_tokens,
          max_output_tokens: limits.max_output_tokens,
          fallbacks: limits.fallbacks,
        }
      : {}),
  };
}
