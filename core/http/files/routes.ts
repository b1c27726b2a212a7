import multipart from '@fastify/multipart';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import * as z from 'zod';
import { sessionId } from '../../chat/request.ts';
import type { ConversationFiles } from '../../files/conversation-files.ts';
import type { CallerLimits } from '../../limits/caller-limits.ts';
import type { Owner } from '../../terms/owner.ts';
import { actorOf, ownerOf, type UnownedReaders } from '../caller.ts';
import { fromCursor, nextCursor, pageQuery, toPage } from '../page.ts';
import { errorAnswers, type ZodTypes } from '../schemas.ts';
import { sendContent } from './download.ts';
import { accessSchema, fileSchema, toAccess, toFile } from './file-view.ts';
import { cleanFilename } from './filename.ts';
import { metadataChangeSchema, readUpload } from './upload.ts';

const tags = ['files'];
const params = z.object({ file: z.string().min(1).max(200) });
const name = z.string().min(1).max(4096).transform(cleanFilename);
const search = z.string().max(500).optional();
/** Lists what belongs to nobody instead of what is the caller's. */
const unowned = z.stringbool({ truthy: ['true'], falsy: ['false'] }).default(false);
const listSchema = z.object({ files: z.array(fileSchema), next_cursor: nextCursor });
const metadataAnswer = z.object({ metadata: z.record(z.string(), z.string()) });

/** Conversation files under /api/files, and those of one chat under /api/chats/{session}/files. */
export async function fileRoutes(
  server: FastifyInstance,
  files: ConversationFiles,
  readers: UnownedReaders,
  limits: CallerLimits,
): Promise<void> {
  await server.register(async (scope) => {
    // A file that is too large is ours to refuse, in our words.
    await scope.register(multipart, { throwFileSizeLimit: false });
    uploads(scope, files, limits);
    lists(scope, files, readers);
    oneFile(scope, files, readers);
    changes(scope, files);
  });
}

function uploads(server: FastifyInstance, files: ConversationFiles, limits: CallerLimits): void {
  const app = server.withTypeProvider<ZodTypes>();
  const upload = async (
    request: FastifyRequest,
    session: string | undefined,
  ): Promise<z.output<typeof listSchema>> => {
    const actor = actorOf(request);
    const { service } = actor.owner;
    if (limits.limitsStorage(service)) limits.upload(service, await files.storedBytes(service));
    const staged = await readUpload(request, files.contents, files.uploadLimitBytes, session);
    return { files: (await files.add(actor, staged)).map(toFile), next_cursor: null };
  };
  const schema = {
    tags,
    consumes: ['multipart/form-data'],
    description:
      'A multipart/form-data body: parts with a filename are the files; `metadata` is a JSON object of texts for all of them. All are stored, or none.',
    response: { 201: listSchema, ...errorAnswers },
  };
  app.post(
    '/api/files',
    { schema: { ...schema, summary: 'Upload files; the field session_id names their chat' } },
    async (request, reply) => reply.code(201).send(await upload(request, undefined)),
  );
  app.post(
    '/api/chats/:session/files',
    { schema: { ...schema, summary: 'Upload files to a chat', params: z.object({ session: sessionId }) } },
    async (request, reply) => reply.code(201).send(await upload(request, request.params.session)),
  );
}

function lists(server: FastifyInstance, files: ConversationFiles, readers: UnownedReaders): void {
  const app = server.withTypeProvider<ZodTypes>();
  const list = async (
    owner: Owner,
    filter: { session?: string | undefined; search?: string | undefined },
    page: { cursor?: string | undefined; limit: number },
  ) => {
    const after = page.cursor === undefined ? undefined : fromCursor(page.cursor, 'string', 'string');
    const found = await files.list(
      owner,
      filter,
      after && { uploadedAt: after[0], id: after[1] },
      page.limit + 1,
    );
    const { rows, next_cursor } = toPage(found, page.limit, (last) => [last.uploadedAt ?? '', last.id]);
    return { files: rows.map(toFile), next_cursor };
  };
  const description =
    'q: words that must all occur in the name or the metadata of a file, compared without case.';
  app.get(
    '/api/files',
    {
      schema: {
        tags,
        summary: 'List or search files, the newest first',
        description,
        querystring: z.object({ q: search, session_id: sessionId.optional(), unowned, ...pageQuery }),
        response: { 200: listSchema, ...errorAnswers },
      },
    },
    async (request) => {
      const { query } = request;
      const owner = readers.listedBy(request, query.unowned);
      return list(owner, { session: query.session_id, search: query.q }, query);
    },
  );
  app.get(
    '/api/chats/:session/files',
    {
      schema: {
        tags,
        summary: 'List or search the files of a chat, the newest first',
        description,
        params: z.object({ session: sessionId }),
        querystring: z.object({ q: search, unowned, ...pageQuery }),
        response: { 200: listSchema, ...errorAnswers },
      },
    },
    async (request) => {
      const {
        params: { session },
        query,
      } = request;
      return list(readers.listedBy(request, query.unowned), { session, search: query.q }, query);
    },
  );
}

function oneFile(server: FastifyInstance, files: ConversationFiles, readers: UnownedReaders): void {
  const app = server.withTypeProvider<ZodTypes>();
  app.get(
    '/api/files/:file',
    {
      schema: {
        tags,
        summary: 'What is known of a file',
        params,
        response: { 200: fileSchema, ...errorAnswers },
      },
    },
    async (request) => {
      const file = await files.get(readers.readerOf(request), request.params.file);
      await files.logAccess('view', file.id, actorOf(request).by);
      return toFile(file);
    },
  );
  app.get(
    '/api/files/:file/content',
    {
      schema: {
        tags,
        summary: 'Download a file, whole or in ranges',
        params,
        response: { 200: z.string(), 206: z.string(), ...errorAnswers },
      },
    },
    async (request, reply) => {
      reply.header('x-content-type-options', 'nosniff');
      const file = await files.get(readers.readerOf(request), request.params.file);
      const content = await files.open(file);
      if (request.method === 'GET') {
        const { range } = request.headers;
        await files.logAccess('download', file.id, actorOf(request).by, range === undefined ? {} : { range });
      }
      return sendContent(request, reply, file, content);
    },
  );
  app.get(
    '/api/files/:file/log',
    {
      schema: {
        tags,
        summary: 'Who did what to a file, the newest first; also of a deleted one',
        params,
        querystring: z.object(pageQuery),
        response: {
          200: z.object({ accesses: z.array(accessSchema), next_cursor: nextCursor }),
          ...errorAnswers,
        },
      },
    },
    async (request) => {
      const {
        params: { file },
        query,
      } = request;
      const before =
        query.cursor === undefined ? Number.MAX_SAFE_INTEGER : fromCursor(query.cursor, 'number')[0];
      const found = await files.accesses(readers.readerOf(request), file, before, query.limit + 1);
      const { rows, next_cursor } = toPage(found, query.limit, (last) => [last.logId]);
      return { accesses: rows.map(toAccess), next_cursor };
    },
  );
  app.get(
    '/api/files/:file/metadata',
    {
      schema: {
        tags,
        summary: 'The metadata of a file',
        params,
        response: { 200: metadataAnswer, ...errorAnswers },
      },
    },
    async (request) => ({ metadata: await files.metadata(readers.readerOf(request), request.params.file) }),
  );
}

function changes(server: FastifyInstance, files: ConversationFiles): void {
  const app = server.withTypeProvider<ZodTypes>();
  app.patch(
    '/api/files/:file',
    {
      schema: {
        tags,
        summary: 'Rename a file',
        params,
        body: z.strictObject({ filename: name }),
        response: { 200: fileSchema, ...errorAnswers },
      },
    },
    async (request) =>
      toFile(await files.rename(actorOf(request), request.params.file, request.body.filename)),
  );
  app.post(
    '/api/files/:file/copy',
    {
      schema: {
        tags,
        summary: 'Copy a file, within its chat or to another; the content is stored once',
        params,
        body: z.strictObject({ session_id: sessionId.optional(), filename: name.optional() }).nullish(),
        response: { 201: fileSchema, ...errorAnswers },
      },
    },
    async (request, reply) => {
      const { session_id, filename } = request.body ?? {};
      const to = { sessionId: session_id, name: filename };
      return reply.code(201).send(toFile(await files.copy(actorOf(request), request.params.file, to)));
    },
  );
  app.delete(
    '/api/files/:file',
    {
      schema: {
        tags,
        summary: 'Delete a file; it can be restored for 7 days',
        params,
        response: { 204: z.null(), ...errorAnswers },
      },
    },
    async (request, reply) => {
      await files.delete(actorOf(request), request.params.file);
      return reply.code(204).send();
    },
  );
  app.post(
    '/api/files/:file/restore',
    {
      schema: {
        tags,
        summary: 'Undo the deletion of a file',
        params,
        response: { 200: fileSchema, ...errorAnswers },
      },
    },
    async (request) => toFile(await files.restore(actorOf(request), request.params.file)),
  );
  app.patch(
    '/api/files/:file/metadata',
    {
      schema: {
        tags,
        summary: 'Set metadata of a file; null removes a key',
        params,
        body: metadataChangeSchema,
        response: { 200: metadataAnswer, ...errorAnswers },
      },
    },
    async (request) => ({
      metadata: await files.changeMetadata(ownerOf(request), request.params.file, request.body),
    }),
  );
}
