import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ContentRange, OpenContent } from '../../files/content-store.ts';
import { CoreError } from '../../terms/errors.ts';
import type { ConversationFile } from '../../terms/file.ts';
import { parseRange } from './byte-range.ts';
import { attachment } from './content-disposition.ts';
import { toMilliseconds } from './file-view.ts';
import { evaluatePreconditions, rangeApplies } from './preconditions.ts';

/** Something to send: its length, and a stream of its bytes that closes the content at its end, whichever that is. */
interface Payload {
  readonly length: number;
  open(): Readable;
}

/**
 * Answers a GET or HEAD for the content of a file: whole, in ranges, or not at all when the client has it. Closes the content.
 *
 * The content is whatever somebody uploaded. Browsers are told to save it, to trust no other type than the one given, and to run
 * nothing in it.
 *
 * @throws {CoreError} precondition_failed, range_not_satisfiable
 */
export async function sendContent(
  request: FastifyRequest,
  reply: FastifyReply,
  file: ConversationFile,
  content: OpenContent,
): Promise<FastifyReply> {
  let sending = false;
  try {
    const etag = `"${file.sha256}"`;
    const modifiedMs = toMilliseconds(file.uploadedAt);
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

    const type = file.mimeType ?? 'application/octet-stream';
    const isHead = request.method === 'HEAD';
    const wantsRange = !isHead && rangeApplies(request.headers, etag, modifiedMs);
    const range = parseRange(wantsRange ? request.headers.range : undefined, file.size);
    if (range.kind === 'none') {
      reply.header('content-range', `bytes */${file.size}`);
      throw new CoreError('range_not_satisfiable', `the file has ${file.size} bytes, numbered from 0`);
    }
    reply.headers({
      'content-type': type,
      'content-disposition': attachment(file.name),
      'content-security-policy': "default-src 'none'; sandbox",
      'cross-origin-resource-policy': 'same-origin',
    });
    let payload: Payload;
    if (range.kind === 'whole') {
      payload = part(content, { start: 0, end: file.size - 1 });
      reply.header('repr-digest', `sha-256=:${Buffer.from(file.sha256, 'hex').toString('base64')}:`);
    } else if (range.ranges.length === 1) {
      payload = part(content, range.ranges[0]!);
      reply.code(206).header('content-range', contentRange(range.ranges[0]!, file.size));
    } else {
      const boundary = randomBytes(18).toString('hex');
      payload = parts(content, range.ranges, type, file.size, boundary);
      reply.code(206).header('content-type', `multipart/byteranges; boundary=${boundary}`);
    }
    reply.header('content-length', payload.length);
    // An empty stream, not an empty text: that would set the length to 0.
    if (isHead) return reply.send(Readable.from([]));
    if (payload.length === 0) return reply.send('');
    sending = true;
    return reply.send(payload.open());
  } finally {
    if (!sending) await content.close();
  }
}

function part(content: OpenContent, range: ContentRange): Payload {
  return {
    length: range.end - range.start + 1,
    open: () => closing(content, content.read(range)),
  };
}

/** @see RFC 9110 §14.6 */
function parts(
  content: OpenContent,
  ranges: readonly ContentRange[],
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
      yield* content.read(range);
    }
    yield tail;
  }
  return {
    length: ranges.reduce((sum, { start, end }) => sum + end - start + 1, framing),
    open: () => closing(content, write()),
  };
}

function closing(content: OpenContent, bytes: AsyncIterable<string | Buffer>): Readable {
  return Readable.from(bytes, { objectMode: false }).once('close', () => void content.close());
}

function contentRange({ start, end }: ContentRange, size: number): string {
  return `bytes ${start}-${end}/${size}`;
}
