import { createServer, type IncomingMessage } from 'node:http';
import { Duplex } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setImmediate as turn } from 'node:timers/promises';
import { PlainRequest } from '../hop-client/plain-request.ts';
import { UsageError } from '../terms/exit-codes.ts';

/** A request that somebody wrote down as it came over the wire. */
export interface CapturedRequest {
  readonly head: PlainRequest;
  readonly body: Buffer;
}

/** Pairs of `rawHeaders`. */
function pairs(raw: readonly string[]): (readonly [string, string])[] {
  const found: (readonly [string, string])[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) found.push([raw[i] as string, raw[i + 1] as string]);
  return found;
}

/**
 * Reads one HTTP/1.x request from its bytes, with Node's own parser. Text files end lines in LF: where a head has no CR
 * at all, its line ends are taken for CRLF.
 *
 * @throws {UsageError} when it is none, or stops short
 */
export async function readCapturedRequest(bytes: Buffer): Promise<CapturedRequest> {
  const server = createServer({ insecureHTTPParser: false, maxHeaderSize: 1024 * 1024 });
  let fault: string | undefined;
  let request: IncomingMessage | undefined;
  const take = (each: IncomingMessage) => {
    request ??= each;
  };
  server.on('clientError', (error) => {
    fault = (error as { reason?: string }).reason ?? error.message;
  });
  server.on('request', take).on('checkContinue', take).on('checkExpectation', take).on('upgrade', take);
  const wire = new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() });
  wire.on('error', () => {});
  server.emit('connection', wire);
  wire.push(withLineEnds(bytes));
  // The parser takes all of it in one go, in the turn after this one.
  await turn();
  await turn();
  try {
    if (fault !== undefined) throw refusal(fault);
    if (request === undefined) throw refusal('a head that stops short');
    const { method, url, rawHeaders, rawTrailers, complete, headers } = request;
    if (!complete && headers.upgrade === undefined) throw refusal('a body that stops short');
    const body = complete ? await buffer(request) : Buffer.alloc(0);
    return { head: new PlainRequest(method ?? '', url ?? '', pairs(rawHeaders), pairs(rawTrailers)), body };
  } finally {
    wire.destroy();
    server.close();
  }
}

function refusal(found: string): UsageError {
  return new UsageError(`the request: found ${found}, expected one whole HTTP/1.1 request as it was sent`);
}

function withLineEnds(bytes: Buffer): Buffer {
  const end = bytes.indexOf('\n\n');
  const head = end < 0 ? bytes : bytes.subarray(0, end + 2);
  if (head.includes('\r')) return bytes;
  const lines = head.toString('latin1').replace(/\n?$/, '\n').replaceAll('\n', '\r\n');
  const closed = end < 0 ? `${lines}\r\n` : lines;
  return Buffer.concat([Buffer.from(closed, 'latin1'), end < 0 ? Buffer.alloc(0) : bytes.subarray(end + 2)]);
}
