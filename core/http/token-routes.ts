import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import type { Planner } from '../chat/planner.ts';
import { chatRequestSchema } from '../chat/request.ts';
import { callerOf } from './caller.ts';
import { errorAnswers, type ZodTypes } from './schemas.ts';

/** A count that takes longer is given up. */
const countMs = 30_000;

/** `POST /v1/tokens/count`: how large a chat request is, without asking the model. */
export function tokenRoutes(server: FastifyInstance, planner: Planner, bodyLimitBytes: number): void {
  const app = server.withTypeProvider<ZodTypes>();
  app.post(
    '/v1/tokens/count',
    {
      bodyLimit: bodyLimitBytes,
      schema: {
        tags: ['chat'],
        summary: 'Count the tokens of a chat request',
        description:
          'The body of a chat completion: messages, tools and response_format are counted as the model gets them. Sessions are not read.',
        body: chatRequestSchema,
        response: {
          200: z.object({
            model: z.string(),
            prompt_tokens: z.int(),
            context_window_tokens: z.int(),
            tokenizer: z.string(),
            exact: z.boolean(),
          }),
          ...errorAnswers,
        },
      },
    },
    async (request) => {
      const counted = await planner.count(
        request.body,
        callerOf(request) ?? undefined,
        AbortSignal.timeout(countMs),
      );
      return {
        model: counted.model,
        prompt_tokens: counted.promptTokens,
        context_window_tokens: counted.windowTokens,
        tokenizer: counted.tokenizer,
        exact: counted.exact,
      };
    },
  );
}
