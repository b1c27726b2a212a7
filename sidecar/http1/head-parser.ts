import { identify } from './field-identity.ts';
import { type FieldLines, mostFields, mostReceived } from './field-lines.ts';
import { frameRequest } from './framing.ts';
import {
  assemblyBuffer,
  errorReason,
  llhttpError,
  memory,
  parseFromStart,
  requestParser,
  responseParser,
  type Sink,
  statusCode,
} from './llhttp.ts';
import { RequestHead } from './request-head.ts';
import { ResponseHead } from './response-head.ts';

/** Why a head is not one: `error` is llhttp's number or `tooManyFields`, `words` its own explanation. */
export interface HeadError {
  readonly error: number;
  readonly words: string;
}

export const tooManyFields = -1;

const usualMethods = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS'];

const request = new RequestHead();
const response = new ResponseHead();

/** Notes where fields stand while llhttp walks over a complete head. */
class HeadSink implements Sink {
  lines: FieldLines = request;
  base = 0;
  count = 0;
  mostFields = mostFields;
  messages = 0;
  complete = 0;
  urlStart = 0;
  urlEnd = 0;
  overflow = false;

  onMessageBegin(): number {
    this.messages++;
    return 0;
  }
  onUrl(at: number, length: number): number {
    this.urlStart = at - this.base;
    this.urlEnd = this.urlStart + length;
    return 0;
  }
  onStatus(): number {
    return 0;
  }
  onFieldName(at: number, length: number): number {
    const index = this.count++;
    if (index >= this.mostFields) {
      this.overflow = true;
      return llhttpError.user;
    }
    const start = at - this.base;
    const { lines } = this;
    const { offsets } = lines;
    offsets[4 * index] = start;
    offsets[4 * index + 1] = start + length;
    offsets[4 * index + 2] = start + length + 1;
    offsets[4 * index + 3] = start + length + 1;
    const id = identify(at, length);
    lines.ids[index] = id;
    if (id !== 0 && lines.countOf[id]!++ === 0) lines.firstOf[id] = index + 1;
    return 0;
  }
  onFieldValue(at: number, length: number): number {
    const index = this.count - 1;
    let end = at + length;
    while (end > at && (memory[end - 1] === 0x20 || memory[end - 1] === 0x09)) end--;
    const { offsets } = this.lines;
    offsets[4 * index + 2] = at - this.base;
    offsets[4 * index + 3] = end - this.base;
    return 0;
  }
  onHeadersComplete(): number {
    this.complete++;
    return 1;
  }
  onBody(): number {
    return llhttpError.user;
  }
  onMessageComplete(): number {
    return 0;
  }
}

const sink = new HeadSink();

/**
 * Parses a complete request head, `start` through the CRLFCRLF that ends at `end`, in a view of llhttp's memory.
 * The result is the thread's one RequestHead; framing rules are not applied yet.
 *
 * @param limit most field lines
 */
export function parseRequestHead(
  buffer: Buffer,
  start: number,
  end: number,
  limit: number,
): RequestHead | HeadError {
  const error = parse(requestParser, request, buffer, start, end, limit);
  if (error !== undefined) return error;
  request.method = methodIn(request.text, sink.urlStart - 1);
  request.target = request.text.slice(sink.urlStart, sink.urlEnd);
  request.trailers = undefined;
  return request;
}

/** The text of a usual method is always the same string: one that compares and hashes at no cost. */
function methodIn(text: string, length: number): string {
  for (const method of usualMethods) if (method.length === length && text.startsWith(method)) return method;
  return text.slice(0, length);
}

/**
 * A head that was composed here, once more as it was when it came: the thread's one RequestHead again.
 *
 * @throws {Error} when it is none: then it was not composed here
 */
export function reparsed(text: string): RequestHead {
  const length = assemblyBuffer.latin1Write(text);
  const head = parseRequestHead(assemblyBuffer, 0, length, mostFields);
  if ('error' in head) throw new Error(`a head that was sent can't be parsed: ${head.words}`);
  const refusal = frameRequest(head, false);
  if (refusal !== undefined) throw new Error(`a head that was sent is not well framed: ${refusal.detail}`);
  return head;
}

/** As `parseRequestHead`, for a response. */
export function parseResponseHead(buffer: Buffer, start: number, end: number): ResponseHead | HeadError {
  const error = parse(responseParser, response, buffer, start, end, mostReceived);
  if (error !== undefined) return error;
  response.status = statusCode(responseParser);
  const statusAndPhrase = response.text.slice(9, response.text.indexOf('\r\n'));
  // The space belongs there even before an empty phrase (RFC 9112 §4).
  response.statusAndPhrase = statusAndPhrase.length === 3 ? `${statusAndPhrase} ` : statusAndPhrase;
  response.minorVersion = response.text.charCodeAt(7) - 0x30;
  return response;
}

function parse(
  parser: number,
  lines: FieldLines,
  buffer: Buffer,
  start: number,
  end: number,
  limit: number,
): HeadError | undefined {
  const at = buffer.byteOffset + start;
  sink.lines = lines;
  sink.base = at;
  sink.count = 0;
  sink.mostFields = limit;
  sink.messages = 0;
  sink.complete = 0;
  sink.overflow = false;
  lines.clear();
  const error = parseFromStart(parser, at, end - start, sink);
  lines.fieldCount = Math.min(sink.count, limit);
  if (error !== llhttpError.ok && error !== llhttpError.pausedUpgrade) {
    return sink.overflow
      ? { error: tooManyFields, words: `more than ${limit} fields` }
      : { error, words: errorReason(parser) };
  }
  if (sink.messages !== 1 || sink.complete !== 1)
    return { error, words: 'the head does not end where it seems to' };
  lines.text = memory.latin1Slice(at, at + end - start);
  return undefined;
}
