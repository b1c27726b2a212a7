import { randomUUID } from 'node:crypto';
import type { MultipartFile } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import * as z from 'zod';
import { sessionId } from '../../chat/request.ts';
import type { ContentStore } from '../../files/content-store.ts';
import { CoreError } from '../../terms/errors.ts';
import type { NewFile } from '../../terms/file.ts';
import { cleanFilename } from './filename.ts';

/** At most so many files in one request, and so many fields beside them. */
const filesPerUpload = 16;
const fieldsPerUpload = 8;
const fieldLimitBytes = 256 * 1024;
/** What a form needs around its files: boundaries, heads of parts, fields. */
const formOverheadBytes = 1024 * 1024;

const key = z.string().regex(/^[\p{L}\p{N}][\p{L}\p{N} ._:-]{0,127}$/u, {
  error: 'keys of 1 to 128 letters, digits, blanks, dots, underscores, colons or hyphens',
});
const value = z.string().max(4096);

/** Metadata of a file as it is set at upload. */
export const metadataSchema = z
  .record(key, value)
  .refine((entries) => Object.keys(entries).length <= 100, { error: 'at most 100 keys' });

/** A change of metadata: null removes a key. */
export const metadataChangeSchema = z
  .record(key, value.nullable())
  .refine((entries) => Object.keys(entries).length <= 100, { error: 'at most 100 keys' });

/**
 * Reads a multipart form: any number of files, and the fields `session_id` and `metadata` (a JSON object) that hold for all of them. Every file
 * is in the store when this returns; when it throws, none is left.
 *
 * @param session the chat that the route names
 * @throws {CoreError} unsupported_media_type, body_too_large, invalid_request, storage_full
 */
export async function readUpload(
  request: FastifyRequest,
  store: ContentStore,
  limitBytes: number,
  session: string | undefined,
): Promise<NewFile[]> {
  if (!request.isMultipart()) {
    throw new CoreError(
      'unsupported_media_type',
      'expected a multipart/form-data body, with a part for each file',
    );
  }
  if (Number(request.headers['content-length'] ?? 0) > limitBytes * filesPerUpload + formOverheadBytes) {
    throw tooLarge(limitBytes);
  }
  const files: Omit<NewFile, 'sessionId' | 'metadata'>[] = [];
  const fields = new Map<string, unknown>();
  try {
    const limits = {
      fileSize: limitBytes,
      files: filesPerUpload,
      fields: fieldsPerUpload,
      fieldSize: fieldLimitBytes,
    };
    for await (const part of request.parts({ limits })) {
      if (part.type === 'file') files.push(await stagePart(part, store, limitBytes));
      else if (part.valueTruncated) throw invalid(part.fieldname, `at most ${fieldLimitBytes} bytes`);
      else fields.set(part.fieldname, part.value);
    }
    if (files.length === 0) throw invalid('file', 'a part with a filename in a multipart/form-data body');
    const common = { sessionId: session ?? readSession(fields), metadata: readMetadata(fields) };
    return files.map((file) => ({ ...file, ...common }));
  } catch (error) {
    await Promise.all(files.map(({ content }) => store.remove(content.place)));
    if (isTooMany(error))
      throw invalid('body', `at most ${filesPerUpload} files and ${fieldsPerUpload} fields`);
    throw isMalformed(error) ? malformed(error) : error;
  }
}

function isTooMany(error: unknown): boolean {
  return ['FST_FILES_LIMIT', 'FST_FIELDS_LIMIT', 'FST_PARTS_LIMIT'].includes(
    (error as { code?: string }).code ?? '',
  );
}

/** The parser's own errors have neither a status nor a system call to blame. */
function isMalformed(error: unknown): error is Error {
  const { statusCode, syscall } = error as { statusCode?: number; syscall?: string };
  return !(error instanceof CoreError) && statusCode === undefined && syscall === undefined;
}

function malformed(cause: Error): CoreError {
  const message = `body: expected a complete multipart/form-data body (${cause.message})`;
  return new CoreError('invalid_request', message, { cause });
}

async function stagePart(
  part: MultipartFile,
  store: ContentStore,
  limitBytes: number,
): Promise<Omit<NewFile, 'sessionId' | 'metadata'>> {
  const content = await store.stage(part.file);
  if (part.file.truncated) {
    await store.remove(content.place);
    throw tooLarge(limitBytes);
  }
  return {
    id: randomUUID(),
    name: cleanFilename(part.filename ?? ''),
    mimeType: cleanMimeType(part.mimetype),
    content,
  };
}

/** Type and subtype only, and only when they are tokens (RFC 9110 §8.3.1). */
function cleanMimeType(given: string): string {
  const essence = given.split(';', 1)[0]!.trim().toLowerCase();
  return /^[a-z0-9!#$&^_.+-]{1,127}\/[a-z0-9!#$&^_.+-]{1,127}$/.test(essence)
    ? essence
    : 'application/octet-stream';
}

function readSession(fields: ReadonlyMap<string, unknown>): string {
  const given = fields.get('session_id');
  if (given === undefined || given === '') return '';
  const checked = sessionId.safeParse(given);
  if (!checked.success) throw invalid('session_id', checked.error.issues[0]!.message);
  return checked.data;
}

function readMetadata(fields: ReadonlyMap<string, unknown>): Record<string, string> {
  const given = fields.get('metadata');
  if (given === undefined || given === '') return {};
  let data: unknown = given;
  try {
    if (typeof given === 'string') data = JSON.parse(given);
  } catch {
    data = undefined;
  }
  const checked = metadataSchema.safeParse(data);
  if (!checked.success)
    throw invalid('metadata', `a JSON object of texts (${checked.error.issues[0]!.message})`);
  return checked.data;
}

function invalid(param: string, expected: string): CoreError {
  return new CoreError('invalid_request', `${param}: expected ${expected}`, { param });
}

function tooLarge(limitBytes: number): CoreError {
  return new CoreError('body_too_large', `a file has at most ${limitBytes} bytes here; nothing was stored`, {
    param: 'file',
  });
}
