import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import type { Chat } from '../chat/chat.ts';
import { chatRequestSchema, namedSession } from '../chat/request.ts';
import type { ContextRecord } from '../chat/turn.ts';
import type { CallerLimits } from '../limits/caller-limits.ts';
import { callerOf, ownerOf } from './caller.ts';
import { hangUpOf, sendEventStream } from './event-stream-reply.ts';
import { onwardOf } from './onward.ts';
import { errorAnswers, type ZodTypes } from './schemas.ts';

export interface ChatRoutesOptions {
  readonly chat: Chat;
  readonly limits: CallerLimits;
  /** Bodies may have images in them. */
  readonly bodyLimitBytes: number;
}

/** `POST /v1/chat/completions`, as OpenAI clients expect it. */
export function chatRoutes(server: FastifyInstance, options: ChatRoutesOptions): void {
  const app = server.withTypeProvider<ZodTypes>();

  app.post(
    '/v1/chat/completions',
    {
      bodyLimit: options.bodyLimitBytes,
      schema: {
        tags: ['chat'],
        summary: 'Answer a conversation',
        description:
          'As in the OpenAI API. A session is named by X-Session-ID or metadata.session_id: its history is put before the new messages, and the turn is kept. Without one the call is stateless.',
        body: chatRequestSchema,
        headers: z.looseObject({
          'x-session-id': z.string().optional(),
          'x-service-id': z.string().max(63).optional(),
          'idempotency-key': z.string().min(1).max(255).optional(),
        }),
        response: { 200: z.unknown(), ...errorAnswers },
      },
    },
    async (request, reply) => {
      const { body, headers } = request;
      const caller = callerOf(request) ?? '';
      const call = {
        request: body,
        session: namedSession(body, headers['x-session-id']),
        owner: ownerOf(request),
        idempotencyKey: headers['idempotency-key'],
        onward: onwardOf(request),
        spent: (tokens: number) => options.limits.spend(caller, tokens),
      };
      const endTurn = options.limits.beginTurn(caller);
      const gone = hangUpOf(reply);
      try {
        if (body.stream !== true) {
          const answered = await options.chat.complete(call, gone);
          return reply.headers(contextHeaders(answered.context)).send(answered.body);
        }
        const { body: source, context } = await options.chat.stream(call, gone);
        await sendEventStream(request, reply, source, gone, contextHeaders(context));
        return reply;
      } catch (error) {
        if (!gone.aborted) throw error;
        return reply.hijack();
      } finally {
        endTurn();
      }
    },
  );
}

/** What the window did, for clients that do not read the record of the turn. */
function contextHeaders(context: ContextRecord | undefined): Record<string, string> {
  if (context === undefined) return {};
  const { messages, tokens } = context;
  return {
    'x-context-messages': `${messages.sent}/${messages.of}`,
    'x-context-tokens': `${tokens.prompt}/${tokens.window}`,
  };
}
