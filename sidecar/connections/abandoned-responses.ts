import { frameResponse } from '../http1/framing.ts';
import { parseResponseHead } from '../http1/head-parser.ts';
import { assemblyBuffer, assemblyBytes } from '../http1/llhttp.ts';

const crlfcrlf = Buffer.from('\r\n\r\n', 'latin1');
/** Bytes that are read of such responses at most: beyond that a new connection costs less. */
const mostBytes = 128 * 1024;

/**
 * Responses that still come on a connection although their requests were retried on others: they are read and dropped,
 * so that the connection can be used again. Closing it would cost a handshake for every request that a slow one held up.
 */
export class AbandonedResponses {
  /** Methods of the requests, in their order: what a response looks like depends on them. */
  readonly #methods: string[];
  /** A part of a head. */
  #part = Buffer.alloc(0);
  /** Bytes of a body that are still to come. */
  #remaining = 0;
  #bytes = 0;

  constructor(methods: readonly string[]) {
    this.#methods = [...methods];
  }

  /**
   * Drops what was read.
   *
   * @returns `ended` when the last response ends with these bytes; `unusable` when the connection can't be used again
   */
  drop(buffer: Buffer, start: number, end: number): 'more' | 'ended' | 'unusable' {
    this.#bytes += end - start;
    if (this.#bytes > mostBytes) return 'unusable';
    let bytes = buffer.subarray(start, end);
    for (;;) {
      if (this.#remaining > 0) {
        const dropped = Math.min(this.#remaining, bytes.length);
        this.#remaining -= dropped;
        bytes = bytes.subarray(dropped);
        if (this.#remaining > 0) return 'more';
      }
      if (this.#methods.length === 0) return bytes.length === 0 ? 'ended' : 'unusable';
      if (this.#part.length > 0) {
        bytes = Buffer.concat([this.#part, bytes]);
        this.#part = Buffer.alloc(0);
      }
      const blank = bytes.indexOf(crlfcrlf);
      if (blank < 0) {
        this.#part = Buffer.from(bytes);
        return 'more';
      }
      const length = this.#bodyAfter(bytes.subarray(0, blank + 4));
      if (length === undefined) return 'unusable';
      this.#remaining = length;
      bytes = bytes.subarray(blank + 4);
    }
  }

  /** Bytes of the body behind a head; undefined when its end does not show, or the connection ends with it. */
  #bodyAfter(headBytes: Buffer): number | undefined {
    if (headBytes.length > assemblyBytes) return undefined;
    const method = this.#methods[0] as string;
    headBytes.copy(assemblyBuffer);
    const head = parseResponseHead(assemblyBuffer, 0, headBytes.length);
    if ('error' in head || frameResponse(head, method) !== undefined || head.status === 101) return undefined;
    if (head.status < 200) return 0;
    this.#methods.shift();
    if (head.close) return undefined;
    if (head.body === 'none') return 0;
    return head.body === 'length' ? head.contentLength : undefined;
  }
}
