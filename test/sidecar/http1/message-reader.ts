import { ChunkedDecoder, ChunkedError } from '../../../sidecar/http1/chunked-decoder.ts';
import { frameRequest } from '../../../sidecar/http1/framing.ts';
import { parseRequestHead } from '../../../sidecar/http1/head-parser.ts';
import { assemblyBuffer } from '../../../sidecar/http1/llhttp.ts';

export interface ReadMessage {
  readonly method: string;
  readonly target: string;
  readonly body: string;
}

/**
 * The messages that our parser, framing rules and chunked decoder find in a stream of bytes, up to where it ends, a
 * message is refused or says that it is the last one.
 *
 * @param split how many bytes come at once, in turn
 */
export function readMessages(stream: Buffer, split: readonly number[]): ReadMessage[] {
  const messages: ReadMessage[] = [];
  let at = 0;
  for (;;) {
    // As the connection does: empty lines before a request line are ignored (RFC 9112 §2.2).
    while (stream[at] === 0x0d && stream[at + 1] === 0x0a) at += 2;
    const end = stream.indexOf('\r\n\r\n', at) + 4;
    if (end < 4) return messages;
    stream.copy(assemblyBuffer, 0, at, end);
    const head = parseRequestHead(assemblyBuffer, 0, end - at, 100);
    if ('error' in head || frameRequest(head, false) !== undefined) return messages;
    const { method, target, close } = head;
    let body = '';
    if (head.body === 'length') {
      if (end + head.contentLength > stream.length) return messages;
      body = stream.latin1Slice(end, end + head.contentLength);
      at = end + head.contentLength;
    } else if (head.body === 'chunked') {
      const decoder = new ChunkedDecoder(16_384, (buffer, start, stop) => {
        body += buffer.latin1Slice(start, stop);
      });
      at = end;
      for (let turn = 0; !decoder.ended && at < stream.length; turn++) {
        const piece = stream.subarray(at, at + Math.max(1, split[turn % split.length] ?? stream.length));
        try {
          at += decoder.decode(piece, 0, piece.length);
        } catch (error) {
          if (error instanceof ChunkedError) return messages;
          throw error;
        }
      }
      if (!decoder.ended) return messages;
    } else at = end;
    messages.push({ method, target, body });
    if (close) return messages;
  }
}
