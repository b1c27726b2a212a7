import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import { liveKey } from '../chat/chat.ts';
import { fromPieces } from '../chat/event-stream.ts';
import type { FollowedTurns, SeenUpTo } from '../chat/followed-turns.ts';
import type { LiveTurns } from '../chat/live-turns.ts';
import { sessionId } from '../chat/request.ts';
import { CoreError } from '../terms/errors.ts';
import { ownerOf, type UnownedReaders } from './caller.ts';
import { hangUpOf, sendEventStream } from './event-stream-reply.ts';
import { errorAnswers, type ZodTypes } from './schemas.ts';

const params = z.object({ session: sessionId });
/** Turn, number of the event, characters of the answer's text up to it. */
const eventIdForm = /^([A-Za-z0-9-]{1,64}):(\d{1,9}):(\d{1,9})$/;

/** Streams that outlive a connection: going on with one, and stopping the turn behind it. */
export function streamRoutes(
  server: FastifyInstance,
  live: LiveTurns,
  followed: FollowedTurns,
  readers: UnownedReaders,
): void {
  const app = server.withTypeProvider<ZodTypes>();
  app.get(
    '/api/chats/:session/stream',
    {
      schema: {
        tags: ['sessions'],
        summary: 'Go on with the stream of the turn that runs, or has just ended',
        description:
          'The events after Last-Event-ID, or all of the running turn. A turn on another core service gives its text five times a second, one that ended longer ago what is left of its text in one piece.',
        params,
        headers: z.looseObject({ 'last-event-id': z.string().max(200).optional() }),
        response: { 200: z.string(), ...errorAnswers },
      },
    },
    async (request, reply) => {
      const { session } = request.params;
      const from = parseEventId(request.headers['last-event-id']);
      const turn = live.find(liveKey(ownerOf(request), session));
      const gone = hangUpOf(reply);
      if (turn !== undefined && (from === undefined ? turn.running : from.turn === turn.id)) {
        await sendEventStream(request, reply, fromPieces(turn.read(from, gone)), gone);
        return reply;
      }
      const rest = await followed.follow(readers.readerOf(request), session, from, gone);
      await sendEventStream(request, reply, fromPieces(rest), gone);
      return reply;
    },
  );

  app.post(
    '/api/chats/:session/stop',
    {
      schema: {
        tags: ['sessions'],
        summary: 'Stop the running turn; what was said of its answer is kept as interrupted',
        params,
        response: { 200: z.object({ stopped: z.boolean() }), ...errorAnswers },
      },
    },
    async (request) => {
      const turn = live.find(liveKey(ownerOf(request), request.params.session));
      if (turn === undefined || !turn.running) return { stopped: false };
      turn.stop();
      await turn.over;
      return { stopped: true };
    },
  );
}

/** @throws {CoreError} `invalid_request` */
function parseEventId(text: string | undefined): SeenUpTo | undefined {
  if (text === undefined || text === '') return undefined;
  const [, turn, number, characters] = eventIdForm.exec(text) ?? [];
  if (turn === undefined) {
    throw new CoreError(
      'invalid_request',
      'Last-Event-ID: expected the id of an event of this session, unchanged',
      {
        param: 'Last-Event-ID',
      },
    );
  }
  return { turn, number: Number(number), characters: Number(characters) };
}
