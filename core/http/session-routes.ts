import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import type { Archive } from '../chat/archive.ts';
import { toJson, toMarkdown, toShown, toShownChat } from '../chat/export.ts';
import { sessionId } from '../chat/request.ts';
import type { ConversationFiles } from '../files/conversation-files.ts';
import { actorOf, ownerOf, type UnownedReaders } from './caller.ts';
import { fromCursor, nextCursor, pageQuery, toPage } from './page.ts';
import { errorAnswers, type ZodTypes } from './schemas.ts';

const chatSchema = z.object({
  id: z.string(),
  title: z.string().nullable(),
  created_by: z.string().nullable(),
  created_at: z.string(),
  updated_at: z.string(),
  message_count: z.int(),
});
const messageSchema = z.looseObject({
  position: z.int(),
  role: z.string(),
  content: z.unknown(),
  state: z.enum(['complete', 'interrupted']),
  model: z.string().nullable(),
  turn_id: z.string(),
  created_at: z.string(),
});
const foundSchema = z.object({
  session_id: z.string(),
  title: z.string().nullable(),
  position: z.int(),
  role: z.string(),
  excerpt: z.string(),
  created_at: z.string(),
});

/** Lists what belongs to nobody instead of what is the caller's. */
const unownedQuery = z.stringbool({ truthy: ['true'], falsy: ['false'] }).default(false);
const title = z.string().trim().min(1).max(200);
const params = z.object({ session: sessionId });

/** The session API under /api/chats. */
export function sessionRoutes(
  server: FastifyInstance,
  archive: Archive,
  files: ConversationFiles,
  readers: UnownedReaders,
): void {
  const app = server.withTypeProvider<ZodTypes>();
  const tags = ['sessions'];

  app.post(
    '/api/chats',
    {
      schema: {
        tags,
        summary: 'Make a session',
        body: z.strictObject({ id: sessionId.optional(), title: title.optional() }).nullish(),
        response: { 201: chatSchema, ...errorAnswers },
      },
    },
    async (request, reply) => {
      const { id, title: named } = request.body ?? {};
      const chat = toShownChat(await archive.create(ownerOf(request), id, named ?? null));
      return reply.code(201).header('location', `/api/chats/${chat.id}`).send(chat);
    },
  );

  app.get(
    '/api/chats',
    {
      schema: {
        tags,
        summary: 'List sessions, the most lately used first',
        querystring: z.object({ ...pageQuery, unowned: unownedQuery }),
        response: { 200: z.object({ chats: z.array(chatSchema), next_cursor: nextCursor }), ...errorAnswers },
      },
    },
    async (request) => {
      const { query } = request;
      const before = query.cursor === undefined ? null : fromCursor(query.cursor, 'string', 'number');
      const found = await archive.list(
        readers.listedBy(request, query.unowned),
        query.limit + 1,
        before === null ? null : { updatedAt: before[0], chatId: before[1] },
      );
      const { rows, next_cursor } = toPage(found, query.limit, (last) => [last.updatedAt, last.chatId]);
      return { chats: rows.map(toShownChat), next_cursor };
    },
  );

  app.get(
    '/api/chats/search',
    {
      schema: {
        tags,
        summary: 'Search the messages of all sessions, or of one',
        description:
          'Every word must occur; words in double quotes occur together; the last word may be the beginning of one. The newest messages come first.',
        querystring: z.object({
          q: z.string().min(1).max(500),
          session_id: sessionId.optional(),
          unowned: unownedQuery,
          ...pageQuery,
        }),
        response: {
          200: z.object({ messages: z.array(foundSchema), next_cursor: nextCursor }),
          ...errorAnswers,
        },
      },
    },
    async (request) => {
      const { query } = request;
      const found = await archive.search(readers.listedBy(request, query.unowned), query.q, {
        session: query.session_id ?? null,
        before: query.cursor === undefined ? null : fromCursor(query.cursor, 'number')[0],
        limit: query.limit + 1,
      });
      const { rows, next_cursor } = toPage(found, query.limit, (last) => [last.messageId]);
      const messages = rows.map(
        ({ sessionId: session_id, title: named, position, role, excerpt, createdAt }) => ({
          session_id,
          title: named,
          position,
          role,
          excerpt,
          created_at: createdAt,
        }),
      );
      return { messages, next_cursor };
    },
  );

  app.get(
    '/api/chats/:session',
    { schema: { tags, summary: 'One session', params, response: { 200: chatSchema, ...errorAnswers } } },
    async (request) => toShownChat(await archive.get(readers.readerOf(request), request.params.session)),
  );

  app.get(
    '/api/chats/:session/messages',
    {
      schema: {
        tags,
        summary: 'Read the messages of a session',
        params,
        querystring: z.object({ ...pageQuery, order: z.enum(['asc', 'desc']).default('asc') }),
        response: {
          200: z.object({ messages: z.array(messageSchema), next_cursor: nextCursor }),
          ...errorAnswers,
        },
      },
    },
    async (request) => {
      const {
        params: { session },
        query,
      } = request;
      const found = await archive.messages(readers.readerOf(request), session, {
        limit: query.limit + 1,
        from: query.cursor === undefined ? null : fromCursor(query.cursor, 'number')[0],
        newestFirst: query.order === 'desc',
      });
      const { rows, next_cursor } = toPage(found, query.limit, (last) => [last.position]);
      return { messages: rows.map(toShown), next_cursor };
    },
  );

  app.patch(
    '/api/chats/:session',
    {
      schema: {
        tags,
        summary: 'Rename a session',
        params,
        body: z.strictObject({ title }),
        response: { 200: chatSchema, ...errorAnswers },
      },
    },
    async (request) =>
      toShownChat(await archive.rename(ownerOf(request), request.params.session, request.body.title)),
  );

  app.post(
    '/api/chats/:session/claim',
    {
      schema: {
        tags,
        summary: "Make a session that belongs to nobody, and its files, the caller's",
        params,
        response: { 200: chatSchema, ...errorAnswers },
      },
    },
    async (request) => toShownChat(await archive.claim(readers.readerOf(request), request.params.session)),
  );

  app.delete(
    '/api/chats/:session',
    {
      schema: {
        tags,
        summary: 'Delete a session, its messages, and the files that only it has',
        params,
        response: { 204: z.null(), ...errorAnswers },
      },
    },
    async (request, reply) => {
      await archive.delete(ownerOf(request), request.params.session);
      await files.deleteOfSession(actorOf(request), request.params.session);
      return reply.code(204).send();
    },
  );

  app.get(
    '/api/chats/:session/export',
    {
      schema: {
        tags,
        summary: 'A whole session as a file',
        params,
        querystring: z.object({ format: z.enum(['json', 'markdown']).default('json') }),
        response: { 200: z.string(), ...errorAnswers },
      },
    },
    async (request, reply) => {
      const { session } = request.params;
      const { format } = request.query;
      const reader = readers.readerOf(request);
      const chat = await archive.get(reader, session);
      const pages = archive.pages(reader, session);
      const [type, ending, text] =
        format === 'json'
          ? ['application/json; charset=utf-8', 'json', toJson(chat, pages)]
          : ['text/markdown; charset=utf-8', 'md', toMarkdown(chat, pages)];
      const name = `${session.replaceAll(/[^A-Za-z0-9._-]/g, '_')}.${ending}`;
      return reply
        .type(type as string)
        .header('content-disposition', `attachment; filename="${name}"`)
        .send(Readable.from(text as AsyncGenerator<string>));
    },
  );
}
