import type { Exchange } from '../exchange/exchange.ts';
import { ChunkedDecoder, ChunkedError } from '../http1/chunked-decoder.ts';
import { frameResponse } from '../http1/framing.ts';
import { parseResponseHead } from '../http1/head-parser.ts';
import { assemblyBuffer } from '../http1/llhttp.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import { switchFault } from '../http1/status-line.ts';
import { fieldId } from '../terms/field-names.ts';
import { smallBytes } from './body-writer.ts';
import { coarseNow, type Timed, unwatch, watch } from './deadlines.ts';
import type { UpstreamHost, UpstreamTimeouts } from './host-pool.ts';
import { dial, type OwnedSocket, releaseBodyBuffer, type SocketOwner, takeBodyBuffer } from './socket.ts';

type State = 'idle' | 'head' | 'body' | 'tunnel' | 'closed';

const crlfcrlf = Buffer.from('\r\n\r\n', 'latin1');
const headLimitBytes = 128 * 1024;
const trailerLimitBytes = 16 * 1024;

/** A connection to where requests go: one exchange at a time, kept for the next one when that is safe. */
export class Upstream implements SocketOwner, Timed {
  readonly host: UpstreamHost;
  readonly socket: OwnedSocket;
  bodyBuffer: Buffer | undefined = undefined;
  deadline: number;
  state: State = 'head';
  exchange: Exchange | undefined = undefined;
  connected = false;
  /** Whether an earlier exchange used this connection. */
  reused = false;
  /** Whether any byte of the present response has come. */
  answered = false;
  /** Whether it was closed because something took too long. */
  timedOut = false;
  /** Coarse time in ms after which the connection must not be used again: peers close idle ones. */
  reusableUntil = 0;
  /** Whether several requests left on it together since it lay ready. */
  isShared = false;
  readonly #timeouts: UpstreamTimeouts;
  #stash: Buffer | undefined = undefined;
  #remaining = 0;
  #untilClose = false;
  #decoder: ChunkedDecoder | undefined = undefined;
  #keepAlive = true;
  #keepAliveMs = 0;
  #blocked = false;
  #stopped = false;
  #readEnded = false;
  /** Exchanges whose responses follow the present one, in this order. */
  #behind: Exchange[] | undefined = undefined;
  /** Responses may come that nobody waits for any more: no further request must meet them. */
  #spoiled = false;
  /** The response that has begun to come waits until its turn has come. */
  #suspended = false;

  constructor(host: UpstreamHost, timeouts: UpstreamTimeouts) {
    this.host = host;
    this.#timeouts = timeouts;
    this.deadline = coarseNow() + timeouts.connect;
    this.socket = dial(host.address, host.port, this);
    watch(this);
  }

  /** Begins an exchange: its request is about to be written to the socket. */
  begin(exchange: Exchange): void {
    this.exchange = exchange;
    this.state = 'head';
    this.answered = false;
    this.#keepAlive = true;
    this.host.inFlight++;
    if (this.connected) this.deadline = Number.POSITIVE_INFINITY;
  }

  /** Begins several exchanges at once: their requests leave in one write, their responses come in the same order. */
  share(exchanges: readonly [Exchange, ...Exchange[]]): void {
    const [first, ...others] = exchanges;
    this.begin(first);
    this.#behind = others;
    this.isShared = true;
    this.host.inFlight += others.length;
    let heads = '';
    for (const exchange of exchanges) {
      exchange.departOn(this);
      heads += exchange.sentHead;
    }
    this.socket.write(heads, 'latin1');
    this.awaitResponse();
  }

  /** Whether an exchange still waits for the responses before its own. */
  keepsWaiting(exchange: Exchange): boolean {
    return this.#behind?.includes(exchange) ?? false;
  }

  /** Has those that wait behind the present exchange sent anew. What comes for them here is nobody's then. */
  disband(): void {
    const behind = this.#behind;
    this.#behind = undefined;
    if (behind === undefined || behind.length === 0) return;
    this.#spoiled = true;
    this.host.inFlight -= behind.length;
    this.host.departures?.onDelay();
    for (const exchange of behind) exchange.onDisplaced();
  }

  /** The request is complete: from here on the first byte of the response is due. */
  awaitResponse(): void {
    if (this.connected && this.state === 'head') this.deadline = coarseNow() + this.#timeouts.response;
  }

  onConnected(): void {
    this.connected = true;
    this.host.connected();
    this.deadline = Number.POSITIVE_INFINITY;
    this.exchange?.onUpstreamConnected();
  }

  onBytes(buffer: Buffer, length: number): boolean {
    switch (this.state) {
      case 'head':
        this.#heads(buffer, length);
        break;
      case 'body':
        this.#body(buffer, 0, length);
        break;
      case 'tunnel':
        this.deadline = coarseNow() + this.#timeouts.tunnel_idle;
        this.exchange?.tunnel?.down(buffer, 0, length);
        break;
      default:
        // Nobody asked: what comes now would be taken for the answer to the next request.
        this.close();
    }
    this.#stopped = this.#blocked || this.#suspended;
    return !this.#stopped;
  }

  #heads(buffer: Buffer, length: number): void {
    this.answered = true;
    let from = buffer;
    let end = length;
    let at = 0;
    if (this.#stash !== undefined) {
      this.#stash.copy(assemblyBuffer);
      buffer.copy(assemblyBuffer, this.#stash.length, 0, length);
      end = this.#stash.length + length;
      from = assemblyBuffer;
      this.#stash = undefined;
    }
    while (this.state === 'head' && at < end) {
      const { exchange } = this;
      if (exchange === undefined) return;
      const blank = from.indexOf(crlfcrlf, at);
      const headEnd = blank + 4;
      if (blank < 0 || headEnd > end) {
        if (end - at > headLimitBytes) {
          this.#fail('the head of the response is too large');
          return;
        }
        this.#stash = Buffer.from(from.subarray(at, end));
        return;
      }
      const head = parseResponseHead(from, at, headEnd);
      if ('error' in head) {
        this.#fail(`the response cannot be parsed: ${head.words}`);
        return;
      }
      const fault = frameResponse(head, exchange.method);
      if (fault !== undefined) {
        this.#fail(fault);
        return;
      }
      const headStart = at;
      at = headEnd;
      if (head.status === 101) {
        const unasked = switchFault(head, exchange.upgrade);
        if (unasked !== undefined) {
          this.#fail(unasked);
          return;
        }
        this.state = 'tunnel';
        this.#keepAlive = false;
        this.deadline = coarseNow() + this.#timeouts.tunnel_idle;
        exchange.onSwitched(head);
        if (at < end) exchange.tunnel?.down(from, at, end);
        return;
      }
      if (head.status < 200) {
        exchange.onInterim(head.status);
        continue;
      }
      const bodyBytes = wholeBody(head, end - at);
      if (bodyBytes === Number.POSITIVE_INFINITY && this.#restIsNear(head)) {
        this.#stash = Buffer.from(from.subarray(headStart, end));
        return;
      }
      if (!exchange.takes(bodyBytes)) {
        this.#suspended = true;
        // As one that its client does not take: what goes before it may never end.
        this.deadline = coarseNow() + this.#timeouts.tunnel_idle;
        this.#stash = Buffer.from(from.subarray(headStart, end));
        return;
      }
      this.#noteHead(head);
      if (bodyBytes === Number.POSITIVE_INFINITY && head.body !== 'length' && this.#hasFollowers()) {
        this.#scatter();
        return;
      }
      if (bodyBytes === Number.POSITIVE_INFINITY) {
        this.#beginBody(head, exchange, from, at, end);
        return;
      }
      const bodyEnd = at + bodyBytes;
      exchange.onResponse(head, true, from, at, bodyEnd);
      at = bodyEnd;
      // Whoever is told of the end may put another head together there.
      const rest = from === assemblyBuffer && at < end ? Buffer.from(from.subarray(at, end)) : undefined;
      this.#finish(at < end);
      if (rest !== undefined) {
        rest.copy(assemblyBuffer);
        at = 0;
        end = rest.length;
      }
    }
  }

  /** Whether a short response was only cut by a read, so that those who follow it need not go. */
  #restIsNear(head: ResponseHead): boolean {
    return head.body === 'length' && head.contentLength <= smallBytes && this.#hasFollowers();
  }

  #hasFollowers(): boolean {
    return this.#behind !== undefined && this.#behind.length > 0;
  }

  /**
   * Sends all anew that share the connection, because the answer that begins may go on for ever. It begins anew, too:
   * so this connection can end, and nothing goes on at the callee that was begun for those behind it.
   */
  #scatter(): void {
    this.host.departures?.onDelay();
    this.exchange?.onDisplaced();
    this.abort();
  }

  /** The turn of its exchange has come: a response that waited for it is passed on. */
  proceed(): void {
    const stash = this.#stash;
    if (!this.#suspended || stash === undefined) return;
    this.#suspended = false;
    this.#stash = undefined;
    stash.copy(assemblyBuffer);
    this.#heads(assemblyBuffer, stash.length);
    if (!this.#blocked && this.state !== 'closed') this.resume();
  }

  #noteHead(head: ResponseHead): void {
    this.deadline = coarseNow() + this.#timeouts.tunnel_idle;
    this.#keepAlive = !head.close && head.body !== 'until-close';
    this.#keepAliveMs = keepAliveHint(head);
  }

  #beginBody(head: ResponseHead, exchange: Exchange, from: Buffer, at: number, end: number): void {
    // Of known length it will end, and what was begun for those behind it ends with it.
    this.disband();
    this.state = 'body';
    this.#remaining = head.contentLength;
    this.#untilClose = head.body === 'until-close';
    this.#decoder =
      head.body === 'chunked'
        ? new ChunkedDecoder(trailerLimitBytes, (buffer, from, to) =>
            this.exchange?.onResponsePiece(buffer, from, to),
          )
        : undefined;
    this.bodyBuffer = takeBodyBuffer();
    exchange.onResponse(head, false, from, at, at);
    if (at < end) this.#body(from, at, end);
  }

  #body(buffer: Buffer, start: number, end: number): void {
    this.deadline = coarseNow() + this.#timeouts.tunnel_idle;
    const { exchange } = this;
    if (exchange === undefined) return;
    const decoder = this.#decoder;
    let at = end;
    let ended = false;
    if (decoder !== undefined) {
      try {
        at = decoder.decode(buffer, start, end);
      } catch (error) {
        if (!(error instanceof ChunkedError)) throw error;
        this.#fail(`the chunked body of the response is broken: ${error.message}`);
        return;
      }
      ended = decoder.ended;
    } else if (this.#untilClose) {
      exchange.onResponsePiece(buffer, start, end);
    } else {
      at = Math.min(end, start + this.#remaining);
      this.#remaining -= at - start;
      exchange.onResponsePiece(buffer, start, at);
      ended = this.#remaining === 0;
    }
    const destination = exchange.downstream.socket;
    if (ended) {
      this.#releaseBuffer(destination);
      this.#decoder = undefined;
      exchange.onResponseEnd(decoder?.trailers);
      this.#finish(at < end);
    } else if (destination.writableLength > 0 && this.exchange !== undefined) {
      // The kernel has not taken all of it: those bytes must stay as they are until it has.
      this.#releaseBuffer(destination);
      this.bodyBuffer = takeBodyBuffer();
    }
  }

  #releaseBuffer(destination: OwnedSocket): void {
    if (this.bodyBuffer !== undefined) releaseBodyBuffer(this.socket, this.bodyBuffer, destination);
    this.bodyBuffer = undefined;
  }

  /** The response is complete. */
  #finish(excess: boolean): void {
    const { exchange } = this;
    if (exchange === undefined) return;
    this.exchange = undefined;
    this.host.inFlight--;
    const goesOn = this.#keepAlive && !this.#spoiled && !this.#readEnded && exchange.requestEnded;
    const next = goesOn ? this.#behind?.shift() : undefined;
    if (next !== undefined) {
      this.exchange = next;
      this.answered = false;
      // Whoever had it blocked has got all.
      this.#blocked = false;
      this.awaitResponse();
    } else if (goesOn && !excess) {
      this.isShared = false;
      this.resume();
      this.state = 'idle';
      this.reused = true;
      this.deadline = coarseNow() + Math.min(this.#timeouts.idle, this.#keepAliveMs);
      this.reusableUntil = this.deadline;
      this.host.giveBack(this);
    } else this.close();
    exchange.onResponseComplete();
  }

  #fail(what: string): void {
    const { exchange } = this;
    this.abort();
    exchange?.onUpstreamBroken(what);
  }

  /** Reads no more until `resume()`. */
  block(): void {
    this.#blocked = true;
  }

  resume(): void {
    this.#blocked = false;
    if (!this.#stopped || this.#suspended) return;
    this.#stopped = false;
    this.socket.resume();
  }

  /** Closes an idle connection. */
  close(): void {
    this.state = 'closed';
    this.deadline = Number.POSITIVE_INFINITY;
    this.host.forget(this);
    this.disband();
    this.socket.destroy();
  }

  /**
   * Ends a connection in the middle of an exchange, so that the peer cannot take the request for a whole one. Others
   * that share it are sent anew.
   *
   * @param exchange which ends
   */
  abort(exchange = this.exchange): void {
    const all = this.exchange === undefined ? [] : [this.exchange, ...(this.#behind ?? [])];
    this.host.inFlight -= all.length;
    this.exchange = undefined;
    this.#behind = undefined;
    for (const other of all) if (other !== exchange) other.onDisplaced();
    this.state = 'closed';
    if (this.socket.connecting) this.socket.destroy();
    else this.socket.resetAndDestroy();
  }

  onReadEnd(): void {
    this.#readEnded = true;
    if (this.state === 'body' && this.#untilClose) {
      this.#untilClose = false;
      this.bodyBuffer = undefined;
      this.exchange?.onResponseEnd(undefined);
      this.#finish(false);
    } else if (this.state === 'tunnel') this.exchange?.tunnel?.endDown();
    else if (this.state === 'idle') this.close();
    else this.socket.destroy();
  }

  /** Bytes pass in the other direction of the tunnel. */
  keepTunnel(): void {
    this.deadline = coarseNow() + this.#timeouts.tunnel_idle;
  }

  onDrain(): void {
    this.exchange?.onUpstreamDrain();
  }

  onDeadline(): void {
    if (this.state === 'idle') {
      this.close();
      return;
    }
    this.timedOut = true;
    // Its turn may come before the socket has closed.
    this.#stash = undefined;
    // A reset, so that whoever still works on the request learns that nobody waits for it.
    if (this.connected) this.socket.resetAndDestroy();
    else this.socket.destroy();
  }

  onClosed(error: Error | undefined): void {
    unwatch(this);
    this.host.forget(this);
    const { exchange } = this;
    this.state = 'closed';
    this.bodyBuffer = undefined;
    if (!this.connected && (exchange !== undefined || this.timedOut)) this.host.failed();
    this.disband();
    if (exchange === undefined) return;
    this.exchange = undefined;
    this.host.inFlight--;
    exchange.onUpstreamLost(this, error);
  }
}

/** Bytes of a body that is there as a whole, of `available` bytes behind the head; otherwise Infinity. */
function wholeBody(head: ResponseHead, available: number): number {
  if (head.body === 'none') return 0;
  return head.body === 'length' && head.contentLength <= available
    ? head.contentLength
    : Number.POSITIVE_INFINITY;
}

/** How long in ms the peer says it keeps the connection, less a second; Infinity when it does not say. */
function keepAliveHint(head: ResponseHead): number {
  if (head.countOf[fieldId['keep-alive']] === 0) return Number.POSITIVE_INFINITY;
  const seconds = /(?:^|[,\s])timeout=(\d{1,6})/i.exec(head.known(fieldId['keep-alive'])!)?.[1];
  return seconds === undefined ? Number.POSITIVE_INFINITY : Math.max(0, 1000 * Number(seconds) - 1000);
}
