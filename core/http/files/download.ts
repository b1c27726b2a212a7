import { randomBytes } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { FileRow } from '../../database/queries/files.ts';
import { CoreError } from '../../errors.ts';
import { type ByteRange, parseRange } from './byte-range.ts';
import { attachment } from './content-disposition.ts';
import { toMilliseconds } from './file-view.ts';
import { evaluatePreconditions, rangeApplies } from './preconditions.ts';

const chunkBytes = 256 * 1024;

/** Something to send: its length, and a stream of its bytes that closes the handle at its end, whichever that is. */
interface Payload {
  readonly length: number;
  open(): Readable;
}

/**
 * Answers a GET or HEAD for the content of a file: whole, in ranges, or not at all when the client has it. Closes the handle.
 *
 * The content is whatever somebody uploaded. Browsers are told to save it, to trust no other type than the one given, and to run
 * nothing in it.
 *
 * @throws {CoreError} precondition_failed, range_not_satisfiable
 */
export async function sendContent(
  request: FastifyRequest,
  reply: FastifyReply,
  row: FileRow,
  handle: FileHandle,
): Promise<FastifyReply> {
  let sending = false;
  try {
    const etag = `"${row.file_hash}"`;
    const modifiedMs = toMilliseconds(row.uploaded_at);
    reply.headers({
      etag,
      'last-modified': new Date(modifiedMs).toUTCString(),
      'accept-ranges': 'bytes',
      'cache-control': 'private, no-cache',
    });
    const precondition = evaluatePreconditions(request.headers, etag, modifiedMs);
    if (precondition === 'failed') {
      throw new CoreError(
        'precondition_failed',
        `the file is ${etag}, which the condition of this request excludes`,
      );
    }
    if (precondition === 'not-modified') return reply.code(304).send();

    const type = row.mime_type ?? 'application/octet-stream';
    const isHead = request.method === 'HEAD';
    const wantsRange = !isHead && rangeApplies(request.headers, etag, modifiedMs);
    const range = parseRange(wantsRange ? request.headers.range : undefined, row.file_size);
    if (range.kind === 'none') {
      reply.header('content-range', `bytes */${row.file_size}`);
      throw new CoreError('range_not_satisfiable', `the file has ${row.file_size} bytes, numbered from 0`);
    }
    reply.headers({
      'content-type': type,
      'content-disposition': attachment(row.original_filename),
      'content-security-policy': "default-src 'none'; sandbox",
      'cross-origin-resource-policy': 'same-origin',
    });
    let payload: Payload;
    if (range.kind === 'whole') {
      payload = part(handle, { start: 0, end: row.file_size - 1 });
      reply.header('repr-digest', `sha-256=:${Buffer.from(row.file_hash, 'hex').toString('base64')}:`);
    } else if (range.ranges.length === 1) {
      payload = part(handle, range.ranges[0]!);
      reply.code(206).header('content-range', contentRange(range.ranges[0]!, row.file_size));
    } else {
      const boundary = randomBytes(18).toString('hex');
      payload = parts(handle, range.ranges, type, row.file_size, boundary);
      reply.code(206).header('content-type', `multipart/byteranges; boundary=${boundary}`);
    }
    reply.header('content-length', payload.length);
    // An empty stream, not an empty text: that would set the length to 0.
    if (isHead) return reply.send(Readable.from([]));
    if (payload.length === 0) return reply.send('');
    sending = true;
    return reply.send(payload.open());
  } finally {
    if (!sending) await handle.close();
  }
}

function part(handle: FileHandle, range: ByteRange): Payload {
  return {
    length: range.end - range.start + 1,
    open: () => handle.createReadStream({ ...range, highWaterMark: chunkBytes }),
  };
}

/** @see RFC 9110 §14.6 */
function parts(
  handle: FileHandle,
  ranges: readonly ByteRange[],
  type: string,
  size: number,
  boundary: string,
): Payload {
  const heads = ranges.map(
    (range) =>
      `\r\n--${boundary}\r\nContent-Type: ${type}\r\nContent-Range: ${contentRange(range, size)}\r\n\r\n`,
  );
  const tail = `\r\n--${boundary}--\r\n`;
  const framing = [...heads, tail].reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  async function* write(): AsyncGenerator<string | Buffer> {
    for (const [index, range] of ranges.entries()) {
      yield heads[index]!;
      yield* handle.createReadStream({ ...range, highWaterMark: chunkBytes, autoClose: false });
    }
    yield tail;
  }
  return {
    length: ranges.reduce((sum, { start, end }) => sum + end - start + 1, framing),
    open: () => Readable.from(write(), { objectMode: false }).once('close', () => void handle.close()),
  };
}

function contentRange({ start, end }: ByteRange, size: number): string {
  return `bytes ${start}-${end}/${size}`;
}
