import { once } from 'node:events';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import * as z from 'zod';
import type { Chat, ChatCall } from '../chat/chat.ts';
import { chatRequestSchema, namedSession } from '../chat/request.ts';
import type { ContextRecord } from '../chat/turn.ts';
import { CoreError } from '../errors.ts';
import { ownerOf } from './caller.ts';
import { describeError } from './errors.ts';
import { errorAnswers, type ZodTypes } from './schemas.ts';

export interface ChatRoutesOptions {
  readonly chat: Chat;
  /** Bodies may have images in them. */
  readonly bodyLimitBytes: number;
  /** A whole turn may take this long. */
  readonly turnMs: number;
  /** Aborted when running turns have to end: the service stops. */
  readonly stopping: AbortSignal;
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
      const call = {
        request: body,
        session: namedSession(body, headers['x-session-id']),
        owner: ownerOf(request),
        idempotencyKey: headers['idempotency-key'],
      };
      const ended = endsWith(reply, options);
      try {
        if (body.stream !== true) {
          const answered = await options.chat.complete(call, ended.signal);
          return reply.headers(contextHeaders(answered.context)).send(answered.body);
        }
        await stream(request, reply, options.chat, call, ended.signal);
        return reply;
      } catch (error) {
        if (!ended.clientGone()) throw error;
        return reply.hijack();
      } finally {
        ended.clear();
      }
    },
  );
}

async function stream(
  request: FastifyRequest,
  reply: FastifyReply,
  chat: Chat,
  call: ChatCall,
  signal: AbortSignal,
): Promise<void> {
  const { body: pieces, context } = await chat.stream(call, signal);
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
    'x-request-id': request.id,
    ...contextHeaders(context),
  });
  try {
    for await (const piece of pieces) {
      if (!raw.write(piece)) await once(raw, 'drain', { signal });
    }
  } catch (error) {
    if (raw.destroyed) return;
    // The head is gone: clients find the error in the stream, which then ends without [DONE].
    raw.write(`data: ${JSON.stringify(describeError(error, request).body)}\n\n`);
  }
  raw.end();
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

/** The one signal of everything that can end a turn early. */
function endsWith(reply: FastifyReply, { turnMs, stopping }: ChatRoutesOptions) {
  const controller = new AbortController();
  let clientGone = false;
  const onClose = () => {
    if (reply.raw.writableFinished) return;
    clientGone = true;
    controller.abort();
  };
  const onStop = () => controller.abort(new CoreError('shutting_down', 'the service is stopping; try again'));
  const timer = setTimeout(
    () => controller.abort(new CoreError('model_timeout', `the turn took longer than ${turnMs} ms`)),
    turnMs,
  );
  reply.raw.once('close', onClose);
  stopping.addEventListener('abort', onStop, { once: true });
  if (stopping.aborted) onStop();
  return {
    signal: controller.signal,
    clientGone: () => clientGone,
    clear() {
      clearTimeout(timer);
      reply.raw.off('close', onClose);
      stopping.removeEventListener('abort', onStop);
    },
  };
}
