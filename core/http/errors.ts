import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { DatabaseError } from '../database/errors.ts';
import { ModelRefusal } from '../llm/failures.ts';
import { CoreError, type CoreErrorCode, type OpenAiError, toOpenAiError } from '../terms/errors.ts';

/** The one place where errors become answers, all in OpenAI's shape. */
export function useOpenAiErrors(app: FastifyInstance): void {
  app.setErrorHandler(async (error, request, reply) => {
    const { status, body } = describeError(error, request);
    if (error instanceof CoreError && error.retryAfterSeconds !== undefined) {
      reply.header('retry-after', error.retryAfterSeconds);
    }
    return reply.code(status).send(body);
  });
  app.setNotFoundHandler(async (request, reply) => {
    const error = new CoreError(
      'not_found',
      `found ${request.method} ${request.url.split('?', 1)[0]}, expected a route of this service: /openapi.json lists them`,
    );
    return reply.code(error.status).send(toOpenAiError(error));
  });
}

/** Options of the server for the errors that come before there is a route, or even a request: the same shape. */
export const earlyErrors = {
  frameworkErrors(error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
    const { status, body } = describeError(error, request);
    void reply.code(status).send(body);
  },
  /** What is no HTTP, or stopped half-way. */
  clientErrorHandler(error: NodeJS.ErrnoException, socket: Socket): void {
    if (error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy();
      return;
    }
    const told = describeBrokenRequest(error);
    const body = JSON.stringify(toOpenAiError(told));
    socket.end(
      `HTTP/1.1 ${told.status} ${STATUS_CODES[told.status]}\r\nContent-Type: application/json; charset=utf-8\r\n` +
        `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    );
  },
};

function describeBrokenRequest(cause: NodeJS.ErrnoException): CoreError {
  if (cause.code === 'HPE_HEADER_OVERFLOW')
    return new CoreError('head_too_large', 'the head of the request is longer than 16 KiB', { cause });
  if (cause.code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return new CoreError('request_timeout', 'the request did not arrive in time', { cause });
  return new CoreError('invalid_request', `found what is not an HTTP/1.1 request (${cause.message})`, {
    cause,
  });
}

/** Status and body for an error; those that are our own fault are logged in full. */
export function describeError(
  thrown: unknown,
  request: FastifyRequest,
): { status: number; body: OpenAiError } {
  if (thrown instanceof ModelRefusal) return { status: thrown.status, body: thrown.body };
  const error = toCoreError(thrown) ?? thrown;
  const status = error instanceof CoreError ? error.status : 500;
  if (status >= 500) request.log.error({ err: error }, 'request failed');
  return { status, body: toOpenAiError(error) };
}

const fastifyCodes: Readonly<Record<string, CoreErrorCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
};

function toCoreError(thrown: unknown): CoreError | undefined {
  if (thrown instanceof CoreError) return thrown;
  return thrown instanceof DatabaseError ? fromDatabase(thrown) : fromFastify(thrown as FastifyError);
}

/** Paths and SQL stay in the log. */
function fromDatabase(cause: DatabaseError): CoreError {
  if (cause.code === 'schema-too-old') {
    return new CoreError(
      'storage_outdated',
      'this needs a newer database schema: /health says what keeps it',
      { cause },
    );
  }
  if (cause.code === 'database-full') {
    return new CoreError('storage_full', 'the disk of the database is full; nothing was stored', { cause });
  }
  if (cause.code === 'turn-lost') {
    return new CoreError(
      'session_taken_over',
      'another core service took this session over, and the turn was not stored: ask again',
      { cause },
    );
  }
  if (cause.code === 'database-busy' || cause.code === 'deadline-passed') {
    return new CoreError('storage_busy', `the database is too busy (${cause.code}): try again`, { cause });
  }
  if (cause.code === 'database-unreachable') {
    return new CoreError('storage_unavailable', 'the database does not answer: try again', { cause });
  }
  return new CoreError('storage_unavailable', `the database failed (${cause.code}); nothing was stored`, {
    cause,
  });
}

function fromFastify(error: FastifyError): CoreError | undefined {
  if (error.cause instanceof CoreError) return error.cause;
  const code = fastifyCodes[error.code];
  if (code !== undefined) return new CoreError(code, error.message, { cause: error });
  const { statusCode } = error;
  if (statusCode === undefined || statusCode < 400 || statusCode >= 500) return undefined;
  return new CoreError('invalid_request', error.message, { cause: error });
}
