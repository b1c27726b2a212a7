import type { Socket } from 'node:net';
import type { Reason } from '../errors.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { ChunkedDecoder, ChunkedError } from '../http1/chunked-decoder.ts';
import { coarseNow, type Timed, unwatch, watch } from '../http1/deadlines.ts';
import { frameRequest, type Refusal } from '../http1/framing.ts';
import { type HeadError, parseRequestHead, tooManyFields } from '../http1/head-parser.ts';
import { assemblyBuffer, assemblyBytes, llhttpError, readBytes } from '../http1/llhttp.ts';
import { problemResponse } from '../http1/problem.ts';
import type { RequestHead } from '../http1/request-head.ts';
import {
  adopt,
  isShared,
  type OwnedSocket,
  releaseBodyBuffer,
  type SocketOwner,
  takeBodyBuffer,
} from '../http1/socket.ts';

/** What one side of the sidecar does with the requests on its connections. */
export interface Pipeline {
  /** On outbound an absolute-form target replaces Host: it is a forward proxy. */
  readonly absoluteFormReplacesHost: boolean;
  readonly limits: { readonly head: number; readonly headers: number };
  readonly timeouts: {
    readonly head: number;
    readonly idle: number;
    readonly response: number;
    readonly tunnel_idle: number;
  };
  /** True once no further request is to be served: connections close behind the present one. */
  readonly draining: boolean;
  /** A well-framed request: either refuse it, or begin an exchange for it, or suspend the connection. */
  onRequest(downstream: Downstream, head: RequestHead): void;
  /** A message that is refused before it is anybody's request. */
  onMalformed(downstream: Downstream | undefined, refusal: Refusal): string;
  onClosed(downstream: Downstream, exchange: Exchange | undefined): void;
}

type State = 'head' | 'collect' | 'body' | 'busy' | 'tunnel' | 'linger' | 'closed';

const crlfcrlf = Buffer.from('\r\n\r\n', 'latin1');
/** How long a client that has half-closed its connection waits for its answer before it is probed. */
const probeAfterMs = 1_000;
/** How long the reset of a client that has gone may take. */
const resetMs = 20;
const lingerMs = 2_000;
const lingerBytes = 16 * 1024 * 1024;

/** A connection on which requests arrive: finds heads and bodies in it, one request at a time. */
export class Downstream implements SocketOwner, Timed {
  readonly socket: OwnedSocket;
  readonly pipeline: Pipeline;
  /** The callee of a listener that serves one callee only. */
  readonly route: string | undefined;
  bodyBuffer: Buffer | undefined = undefined;
  deadline: number;
  exchange: Exchange | undefined = undefined;
  /** The peer has sent its FIN. */
  readEnded = false;
  state: State = 'head';
  requests = 0;
  /** The present request has been put back once. */
  wasSuspended = false;
  /** Bytes that are read but not used yet: a part of a head, or what follows the present request. */
  #stash: Buffer | undefined = undefined;
  /** No more of the body is to be read for now. */
  #blocked = false;
  /** The socket was told to read no more. */
  #stopped = false;
  #headStart = 0;
  #headDeadline = Number.POSITIVE_INFINITY;
  #remaining = 0;
  #decoder: ChunkedDecoder | undefined = undefined;
  #collected: Buffer[] | undefined = undefined;
  #onCollected: ((body: Buffer) => void) | undefined = undefined;
  #lingered = 0;
  // While bytes are being used up: which, and how far.
  #buffer: Buffer = assemblyBuffer;
  #at = 0;
  #end = 0;

  private constructor(accepted: Socket, pipeline: Pipeline, route: string | undefined) {
    this.pipeline = pipeline;
    this.route = route;
    this.deadline = coarseNow() + pipeline.timeouts.idle;
    this.socket = adopt(accepted, this) as OwnedSocket;
  }

  /** Serves an accepted connection; undefined when it is gone already. */
  static serve(accepted: Socket, pipeline: Pipeline, route: string | undefined): Downstream | undefined {
    const downstream = new Downstream(accepted, pipeline, route);
    if (downstream.socket === undefined) return undefined;
    watch(downstream);
    downstream.socket.read(0);
    return downstream;
  }

  /** Whether no request is under way: at most a part of a head has come. */
  get isWaiting(): boolean {
    return this.state === 'head';
  }

  /** Whether a request may be about to arrive that was sent to nobody else: the first one, or one half read. */
  get isUndecided(): boolean {
    return this.state === 'head' && (this.requests === 0 || this.#stash !== undefined);
  }

  /** The peer's IP address; IPv4 without the prefix that a dual-stack listener adds. */
  get peerAddress(): string {
    this.#peerAddress ??= (this.socket.remoteAddress ?? 'unknown').replace(/^::ffff:(?=\d+\.)/, '');
    return this.#peerAddress;
  }
  #peerAddress: string | undefined = undefined;

  onBytes(buffer: Buffer, length: number): boolean {
    const more = this.#take(buffer, length);
    this.#stopped = !more;
    return more;
  }

  #readOn(): void {
    if (!this.#stopped) return;
    this.#stopped = false;
    this.socket.resume();
  }

  #take(buffer: Buffer, length: number): boolean {
    switch (this.state) {
      case 'head':
      case 'collect':
      case 'body':
        break;
      case 'tunnel':
        this.deadline = coarseNow() + this.pipeline.timeouts.tunnel_idle;
        return this.exchange?.tunnelUp(buffer, 0, length) ?? false;
      case 'busy':
        this.#keep(buffer, 0, length);
        return false;
      default:
        this.#lingered += length;
        if (this.#lingered > lingerBytes) this.socket.destroy();
        return true;
    }
    if (this.#stash === undefined) {
      this.#use(buffer, 0, length);
    } else {
      const stash = this.#stash;
      this.#stash = undefined;
      stash.copy(assemblyBuffer);
      buffer.copy(assemblyBuffer, stash.length, 0, length);
      this.#use(assemblyBuffer, 0, stash.length + length);
    }
    return this.#wantsMore;
  }

  get #wantsMore(): boolean {
    return !this.#blocked && (this.#stash === undefined || this.state === 'head');
  }

  /** Uses up a range of bytes; what cannot be used yet is kept. */
  #use(buffer: Buffer, start: number, end: number): void {
    this.#buffer = buffer;
    this.#at = start;
    this.#end = end;
    while (this.#at < this.#end && !this.#blocked) {
      if (this.state === 'head') {
        if (!this.#head()) break;
      } else if (this.state === 'body') this.#body();
      else if (this.state === 'collect') this.#collect();
      else break;
    }
    if (this.#at < this.#end && this.state !== 'linger' && this.state !== 'closed') {
      this.#keep(this.#buffer, this.#at, this.#end);
    }
    this.#at = this.#end;
  }

  #keep(buffer: Buffer, start: number, end: number): void {
    const piece = Buffer.from(buffer.subarray(start, end));
    this.#stash = this.#stash === undefined ? piece : Buffer.concat([this.#stash, piece]);
  }

  /** Takes one head off the bytes; false when it is not complete yet. */
  #head(): boolean {
    if (!isShared(this.#buffer)) {
      // Behind a body: heads are parsed in the memory of llhttp only.
      const { length } = assemblyBuffer;
      this.#end = Math.min(this.#end, this.#at + length);
      this.#buffer.copy(assemblyBuffer, 0, this.#at, this.#end);
      this.#end -= this.#at;
      this.#at = 0;
      this.#buffer = assemblyBuffer;
    }
    const buffer = this.#buffer;
    let start = this.#at;
    // RFC 9112 §2.2: empty lines before a request line are ignored.
    while (start + 1 < this.#end && buffer[start] === 0x0d && buffer[start + 1] === 0x0a) start += 2;
    this.#at = start;
    if (start === this.#end) return false;
    const { limits } = this.pipeline;
    let blank = buffer.indexOf(crlfcrlf, start);
    if (blank >= this.#end) blank = -1;
    const end = blank + 4;
    if (blank < 0 || end > this.#end) {
      this.#headBegan();
      if (this.#end - start > limits.head) this.#refuse(tooLarge(limits.head));
      else if (hasBareLineEnd(buffer, start, this.#end)) {
        this.#refuse({ reason: 'malformed-request', detail: 'A line of the head ends in a bare CR or LF.' });
      }
      return false;
    }
    if (end - start > limits.head) {
      this.#refuse(tooLarge(limits.head));
      return true;
    }
    const head = parseRequestHead(buffer, start, end, limits.headers);
    if ('error' in head) {
      this.#refuse(headRefusal(head, buffer, start, limits.headers));
      return true;
    }
    const refusal = frameRequest(head, this.pipeline.absoluteFormReplacesHost);
    if (refusal !== undefined) {
      this.#refuse(refusal);
      return true;
    }
    this.#headStart = start;
    this.#at = end;
    this.state = 'busy';
    this.#headDeadline = Number.POSITIVE_INFINITY;
    this.deadline = Number.POSITIVE_INFINITY;
    this.requests++;
    this.pipeline.onRequest(this, head);
    return true;
  }

  #headBegan(): void {
    if (this.#headDeadline !== Number.POSITIVE_INFINITY) return;
    this.#headDeadline = coarseNow() + this.pipeline.timeouts.head;
    this.deadline = this.#headDeadline;
  }

  /** Puts the request whose head was just read back until `resume()`: it is then read again. */
  suspend(): void {
    this.#at = this.#headStart;
    this.#blocked = true;
    this.wasSuspended = true;
    this.requests--;
    this.state = 'head';
  }

  /** Goes on reading after `suspend()` or `block()`. */
  resume(): void {
    this.#blocked = false;
    if (this.state === 'closed') return;
    if (this.state === 'body') this.deadline = coarseNow() + this.pipeline.timeouts.idle;
    const stash = this.#stash;
    if (stash !== undefined && (this.state === 'head' || this.state === 'body' || this.state === 'collect')) {
      this.#stash = undefined;
      if (stash.length <= assemblyBytes) {
        stash.copy(assemblyBuffer);
        this.#use(assemblyBuffer, 0, stash.length);
      } else this.#use(stash, 0, stash.length);
    }
    if (this.#awaitsNothing) this.end();
    else if (this.#wantsMore || this.state === 'tunnel') this.#readOn();
  }

  /** Whether all that the peer has sent, up to its FIN, is answered. */
  get #awaitsNothing(): boolean {
    return this.readEnded && this.state === 'head' && !this.#blocked && this.#stash === undefined;
  }

  /** Reads no more of the body until `resume()`. */
  block(): void {
    this.#blocked = true;
    if (this.state === 'body') this.deadline = coarseNow() + this.pipeline.timeouts.response;
  }

  /** Bytes pass in the other direction of the tunnel. */
  keepTunnel(): void {
    this.deadline = coarseNow() + this.pipeline.timeouts.tunnel_idle;
  }

  /**
   * The whole body of the present request, of a known length, at once: for bodies that are digested before they are
   * passed on.
   */
  collect(length: number, then: (body: Buffer) => void): void {
    if (this.#end - this.#at >= length) {
      const body = Buffer.from(this.#buffer.subarray(this.#at, this.#at + length));
      this.#at += length;
      then(body);
      return;
    }
    this.#remaining = length;
    this.#collected = [];
    this.#onCollected = then;
    this.state = 'collect';
    this.deadline = coarseNow() + this.pipeline.timeouts.idle;
  }

  #collect(): void {
    const length = Math.min(this.#end - this.#at, this.#remaining);
    this.#collected?.push(Buffer.from(this.#buffer.subarray(this.#at, this.#at + length)));
    this.#at += length;
    this.#remaining -= length;
    this.deadline = coarseNow() + this.pipeline.timeouts.idle;
    if (this.#remaining > 0) return;
    const body = Buffer.concat(this.#collected ?? []);
    const then = this.#onCollected;
    this.#collected = undefined;
    this.#onCollected = undefined;
    this.state = 'busy';
    this.deadline = Number.POSITIVE_INFINITY;
    then?.(body);
  }

  /** Passes the body of the present request to its exchange as it comes. */
  stream(head: RequestHead): void {
    this.state = 'body';
    const { idle, response } = this.pipeline.timeouts;
    this.deadline = coarseNow() + (this.#blocked ? response : idle);
    if (head.body === 'chunked') {
      this.#decoder = new ChunkedDecoder(this.pipeline.limits.head, (buffer, start, end) =>
        this.exchange?.onRequestPiece(buffer, start, end),
      );
    } else {
      this.#decoder = undefined;
      this.#remaining = head.contentLength;
    }
    this.bodyBuffer = takeBodyBuffer();
  }

  #body(): void {
    this.deadline = coarseNow() + this.pipeline.timeouts.idle;
    const { exchange } = this;
    if (exchange === undefined) return;
    const decoder = this.#decoder;
    let ended: boolean;
    if (decoder === undefined) {
      const length = Math.min(this.#end - this.#at, this.#remaining);
      const start = this.#at;
      this.#at += length;
      this.#remaining -= length;
      exchange.onRequestPiece(this.#buffer, start, start + length);
      ended = this.#remaining === 0;
    } else {
      try {
        this.#at = decoder.decode(this.#buffer, this.#at, this.#end);
      } catch (error) {
        if (!(error instanceof ChunkedError)) throw error;
        this.#at = this.#end;
        exchange.onRequestBroken({
          reason: 'malformed-request',
          detail: `The chunked body is broken: ${error.message}.`,
        });
        return;
      }
      ended = decoder.ended;
    }
    const upstream = exchange.upstreamSocket;
    if (ended) {
      if (this.bodyBuffer !== undefined) releaseBodyBuffer(this.socket, this.bodyBuffer, upstream);
      this.bodyBuffer = undefined;
      this.#decoder = undefined;
      if (this.state === 'body') {
        this.state = 'busy';
        this.deadline = Number.POSITIVE_INFINITY;
        exchange.onRequestEnd(decoder?.trailers);
      }
    } else if (upstream !== undefined && upstream.writableLength > 0 && this.state === 'body') {
      // The kernel has not taken all of it: those bytes must stay as they are until it has.
      if (this.bodyBuffer !== undefined) releaseBodyBuffer(this.socket, this.bodyBuffer, upstream);
      this.bodyBuffer = takeBodyBuffer();
    }
  }

  /** From here on bytes go to the other side of the tunnel as they come. */
  becomeTunnel(): void {
    this.state = 'tunnel';
    this.deadline = coarseNow() + this.pipeline.timeouts.tunnel_idle;
    const stash = this.#stash;
    this.#stash = undefined;
    if (stash !== undefined) this.exchange?.tunnelUp(stash, 0, stash.length);
    this.#readOn();
  }

  /** The answer to the present request is complete. */
  finish(close: boolean): void {
    this.exchange = undefined;
    if (this.state === 'closed') return;
    if (this.state === 'body' || this.state === 'collect' || close || this.pipeline.draining) {
      this.end();
      return;
    }
    this.state = 'head';
    this.deadline = coarseNow() + this.pipeline.timeouts.idle;
    // A client that sends requests and takes no answers gets no further ones until it does.
    if (this.socket.writableNeedDrain) this.#blocked = true;
    else if (this.#stash !== undefined) this.resume();
    else if (this.readEnded) this.end();
    else this.#readOn();
  }

  /** Sends a whole response of our own and goes on, or closes, as it says. */
  answer(response: string, close: boolean): void {
    if (this.state === 'closed') return;
    this.socket.write(response, 'latin1');
    this.finish(close);
  }

  /** Closes in both directions, but reads on for a while: a reset would take our answer back. */
  end(): void {
    if (this.state === 'closed' || this.state === 'linger') return;
    this.state = 'linger';
    this.#stash = undefined;
    this.#decoder = undefined;
    this.bodyBuffer = undefined;
    this.#blocked = false;
    // What is written has the time of an idle connection to leave: only then does the lingering begin.
    this.deadline = coarseNow() + this.pipeline.timeouts.idle;
    this.socket.end(() => {
      this.deadline = coarseNow() + lingerMs;
    });
    if (!this.readEnded) this.#readOn();
  }

  #refuse(refusal: Refusal): void {
    const requestId = this.pipeline.onMalformed(this, refusal);
    this.#at = this.#end;
    this.state = 'busy';
    this.answer(problemResponse(refusal.reason, refusal.detail, requestId, true, true), true);
  }

  onDeadline(): void {
    switch (this.state) {
      case 'head':
        if (this.#stash === undefined) this.end();
        else this.#refuse(timeout('The head of the request did not arrive in time.'));
        return;
      case 'collect':
      case 'body':
        this.exchange?.onRequestBroken(
          this.#blocked
            ? { reason: 'upstream-timeout', detail: 'The body of the request was not taken in time.' }
            : timeout('The body of the request stopped arriving.'),
        );
        return;
      case 'tunnel':
        this.exchange?.abort();
        return;
      case 'busy':
        this.#probe();
        return;
      default:
        this.socket.destroy();
    }
  }

  onConnected(): void {}

  onReadEnd(): void {
    this.readEnded = true;
    switch (this.state) {
      case 'head':
        if (!this.#blocked) this.end();
        return;
      case 'busy':
        // Half-closed clients are served; ones that have gone for good are found out by a byte that says nothing.
        if (this.exchange?.responseStarted) this.#probe();
        else this.deadline = coarseNow() + probeAfterMs;
        return;
      case 'tunnel':
        this.exchange?.tunnelUpEnded();
        return;
      case 'linger':
        this.socket.destroySoon();
        return;
      default:
        // A body that ends before its end: nobody waits for an answer to that.
        this.abort();
    }
  }

  /** The first byte brings the reset of a client that has gone, the second one finds it: reads have ended. */
  #probe(): void {
    const { exchange } = this;
    exchange?.probeDownstream();
    setTimeout(() => {
      if (exchange !== undefined && this.exchange === exchange) exchange.probeDownstream();
    }, resetMs).unref();
  }

  onDrain(): void {
    if (this.exchange !== undefined) this.exchange.onDownstreamDrain();
    else if (this.state === 'head') this.resume();
  }

  /** Ends the connection so that the peer cannot take what it got for the whole. */
  abort(): void {
    this.socket.resetAndDestroy();
  }

  onClosed(): void {
    const { exchange } = this;
    this.state = 'closed';
    this.exchange = undefined;
    this.bodyBuffer = undefined;
    this.#stash = undefined;
    this.#collected = undefined;
    unwatch(this);
    this.pipeline.onClosed(this, exchange);
    exchange?.onDownstreamClosed();
  }
}

function timeout(detail: string): Refusal {
  return { reason: 'request-timeout', detail };
}

function tooLarge(limit: number): Refusal {
  return { reason: 'head-too-large', detail: `The head is larger than limits.head, ${limit} bytes.` };
}

function headRefusal(error: HeadError, buffer: Buffer, start: number, limit: number): Refusal {
  const lineEnd = buffer.indexOf('\r\n', start);
  const line = buffer.latin1Slice(start, Math.min(lineEnd, start + readBytes));
  const reason: Reason =
    error.error === tooManyFields
      ? 'head-too-large'
      : /^\S+ \S+ HTTP\/(?!1\.[01]$)\d\.\d$/.test(line)
        ? 'version-not-supported'
        : error.error === llhttpError.invalidMethod && /^[!#$%&'*+.^`|~\w-]+ \S+ HTTP\/1\.[01]$/.test(line)
          ? 'not-implemented'
          : 'malformed-request';
  const words = reason === 'head-too-large' ? `limits.headers allows ${limit} fields` : error.words;
  return { reason, detail: `The head cannot be served: ${words}.` };
}

/** Whether a head that is not complete holds a line end that cannot become a CRLF. */
function hasBareLineEnd(buffer: Buffer, start: number, end: number): boolean {
  for (let at = buffer.indexOf(0x0a, start); at >= 0 && at < end; at = buffer.indexOf(0x0a, at + 1)) {
    if (at === start || buffer[at - 1] !== 0x0d) return true;
  }
  for (let at = buffer.indexOf(0x0d, start); at >= 0 && at < end - 1; at = buffer.indexOf(0x0d, at + 1)) {
    if (buffer[at + 1] !== 0x0a) return true;
  }
  return false;
}
