import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { EventSource } from '../chat/event-stream.ts';
import { describeError } from './errors.ts';

/** Aborted when the client hangs up before its answer has gone out. */
export function hangUpOf(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort();
  });
  return controller.signal;
}

/** Sends a server-sent event stream. A failure in the middle of it is its last event, and there is no `[DONE]`. */
export async function sendEventStream(
  request: FastifyRequest,
  reply: FastifyReply,
  source: EventSource,
  gone: AbortSignal,
  headers: Readonly<Record<string, string>> = {},
): Promise<void> {
  // Fields that hooks have set, CORS among them, would be lost with the reply.
  const fields = reply.getHeaders() as Record<string, string>;
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, {
    ...fields,
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
    'x-request-id': request.id,
    ...headers,
  });
  // A client that goes on with a stream learns at once that there is one, however long the next event takes.
  raw.flushHeaders();
  try {
    await source({ write: (piece) => (raw.write(piece) ? undefined : drained(raw, gone)) });
  } catch (error) {
    if (raw.destroyed) return;
    // The head is gone: clients find the error in the stream, which then ends without [DONE].
    raw.write(`data: ${JSON.stringify(describeError(error, request).body)}\n\n`);
  }
  raw.end();
}

async function drained(raw: ServerResponse, gone: AbortSignal): Promise<void> {
  await once(raw, 'drain', { signal: gone });
}
