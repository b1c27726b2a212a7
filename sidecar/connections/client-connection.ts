import type { Loss, WriteProgress } from '../exchange/ends.ts';
import { ChunkedDecoder, ChunkedError } from '../http1/chunked-decoder.ts';
import { frameResponse } from '../http1/framing.ts';
import { parseResponseHead } from '../http1/head-parser.ts';
import { assemblyBuffer } from '../http1/llhttp.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import { switchFault } from '../http1/status-line.ts';
import type { SealingKey } from '../keyring/keyring.ts';
import { fieldId } from '../terms/field-names.ts';
import type { HandshakeFailure } from '../terms/handshake.ts';
import { AbandonedResponses } from './abandoned-responses.ts';
import { smallBytes } from './body-writer.ts';
import type { CallCarrier, ClientCall } from './client-call.ts';
import { coarseNow, type Timed, unwatch, watch } from './deadlines.ts';
import { HandshakeError } from './handshake.ts';
import type { SharedConnection } from './request-batcher.ts';
import { dialSealed } from './sealed-client.ts';
import { isSpent } from './sealed-lifetime.ts';
import type { SealedSocket } from './sealed-socket.ts';
import { dial, type OwnedSocket, releaseBodyBuffer, type SocketOwner, takeBodyBuffer } from './socket.ts';

type State = 'idle' | 'head' | 'body' | 'tunnel' | 'abandoned' | 'closed';

const crlfcrlf = Buffer.from('\r\n\r\n', 'latin1');
const headLimitBytes = 128 * 1024;
const trailerLimitBytes = 16 * 1024;

const displaced: Loss = { kind: 'displaced' };

/** In milliseconds. */
export interface ClientTimeouts {
  readonly connect: number;
  readonly idle: number;
  readonly response: number;
  readonly tunnel_idle: number;
}

/** What a connection tells of itself to the pool that it belongs to. */
export interface ConnectionPool {
  readonly address: string;
  readonly port: number;
  /** Requests under way. */
  inFlight: number;
  /** The host took a connection, and has proven itself if it is sealed. */
  onConnected(connection: ClientConnection): void;
  /** The host could not be connected to. */
  onUnreachable(): void;
  /** The host could be connected to, and did not prove the pair key. @param dialledAtMs as `performance.now()` */
  onUnproven(failure: HandshakeFailure, kid: string, dialledAtMs: number): void;
  /** A connection has gone that was connected, and proven if it is sealed. */
  onClosed(sealed: boolean): void;
  /** A shareable request has its whole answer. @param ms that it took @param whole it came in one piece */
  onAnswer(ms: number, whole: boolean, sealed: boolean): void;
  /** A request had to be retried on its own connection. */
  onDelay(sealed: boolean): void;
  /** Takes a connection back after a complete exchange. */
  giveBack(connection: ClientConnection): void;
  /** Forgets an idle connection that has closed. */
  forget(connection: ClientConnection): void;
}

/** A connection to where requests go: one call at a time or several pipelined, kept for the next when that is safe. */
export class ClientConnection implements CallCarrier, SharedConnection, SocketOwner, Timed {
  readonly #pool: ConnectionPool;
  readonly socket: OwnedSocket;
  /** The key id that a sealed connection is proven with; undefined on a plain one. */
  readonly kid: string | undefined;
  /** As `performance.now()`. */
  readonly #dialledAtMs = performance.now();
  bodyBuffer: Buffer | undefined = undefined;
  deadline: number;
  #state: State = 'head';
  /** The call whose response is due. */
  #call: ClientCall | undefined = undefined;
  connected = false;
  /** Whether an earlier exchange used this connection. */
  #reused = false;
  /** Whether any byte of the present response has come. */
  #answered = false;
  /** Whether it was closed because something took too long. */
  #timedOut = false;
  /** Coarse time in ms after which the connection must not be used again: peers close idle ones. */
  reusableUntil = 0;
  /** Whether several requests left on it together since it lay ready. */
  #isShared = false;
  readonly #timeouts: ClientTimeouts;
  #stash: Buffer | undefined = undefined;
  #remaining = 0;
  #untilClose = false;
  #decoder: ChunkedDecoder | undefined = undefined;
  #keepAlive = true;
  #keepAliveMs = Number.POSITIVE_INFINITY;
  #blocked = false;
  #stopped = false;
  #readEnded = false;
  /** Calls whose responses follow the present one, in this order. */
  #behind: ClientCall[] | undefined = undefined;
  /** Responses that follow the present one and that no one waits for: they are dropped before the next request. */
  #abandoned: AbandonedResponses | undefined = undefined;
  /** The response that has begun to come waits until its turn has come. */
  #suspended = false;

  /** @param key seals the connection; without it the connection is plain */
  constructor(pool: ConnectionPool, timeouts: ClientTimeouts, key: SealingKey | undefined) {
    this.#pool = pool;
    this.#timeouts = timeouts;
    this.kid = key?.kid;
    // Covers TCP and, with a key, the handshake.
    this.deadline = coarseNow() + timeouts.connect;
    this.socket =
      key === undefined
        ? dial(pool.address, pool.port, this)
        : dialSealed(pool.address, pool.port, key, this);
    watch(this);
  }

  /** Whether it takes another call: a sealed one that has carried much, or is old, does not. */
  get isFresh(): boolean {
    if (this.kid === undefined) return true;
    return !isSpent(this.socket as unknown as SealedSocket, coarseNow() - this.#dialledAtMs);
  }

  /** Begins a call: its request is written once the host is connected, and has proven itself if it is sealed. */
  begin(call: ClientCall): void {
    this.#take(call);
    if (this.connected) call.leaveOn(this);
  }

  #take(call: ClientCall): void {
    this.#call = call;
    this.#state = 'head';
    this.#answered = false;
    this.#keepAlive = true;
    this.#pool.inFlight++;
    if (this.connected) this.deadline = Number.POSITIVE_INFINITY;
  }

  share(calls: readonly [ClientCall, ...ClientCall[]]): void {
    const [first, ...others] = calls;
    this.#take(first);
    this.#behind = others;
    this.#isShared = true;
    this.#pool.inFlight += others.length;
    let texts = '';
    for (const call of calls) texts += call.leaveTogether(this);
    this.socket.write(texts, 'latin1');
    this.awaitResponse();
  }

  keepsWaiting(call: ClientCall): boolean {
    return this.#behind?.includes(call) ?? false;
  }

  /** The responses of those that waited are abandoned. */
  disband(): void {
    const behind = this.#behind;
    this.#behind = undefined;
    if (behind === undefined || behind.length === 0) return;
    this.#abandoned = new AbandonedResponses(behind.map(({ request }) => request.method));
    this.#pool.inFlight -= behind.length;
    this.#pool.onDelay(this.kid !== undefined);
    for (const call of behind) call.events.onLost(displaced);
  }

  /** The request is complete: from here on the first byte of the response is due. */
  awaitResponse(): void {
    if (this.connected && this.#state === 'head') this.deadline = coarseNow() + this.#timeouts.response;
  }

  onConnected(): void {
    this.connected = true;
    this.#pool.onConnected(this);
    this.deadline = Number.POSITIVE_INFINITY;
    const call = this.#call;
    if (call === undefined) this.#lieReady();
    else {
      call.leaveOn(this);
      call.events.onConnected();
    }
  }

  /** Waits for the next call. */
  #lieReady(): void {
    this.#state = 'idle';
    this.deadline = coarseNow() + Math.min(this.#timeouts.idle, this.#keepAliveMs);
    this.reusableUntil = this.deadline;
    this.#pool.giveBack(this);
  }

  onBytes(buffer: Buffer, length: number): boolean {
    switch (this.#state) {
      case 'head':
        this.#heads(buffer, length);
        break;
      case 'body':
        this.#body(buffer, 0, length);
        break;
      case 'tunnel':
        this.deadline = coarseNow() + this.#timeouts.tunnel_idle;
        this.#call?.events.onTunnelDown(buffer, 0, length);
        break;
      case 'abandoned':
        this.#drop(buffer, 0, length);
        break;
      default:
        // Unsolicited bytes: close, or they would poison the next response.
        this.close();
    }
    this.#stopped = this.#blocked || this.#suspended;
    return !this.#stopped;
  }

  #heads(buffer: Buffer, length: number): void {
    this.#answered = true;
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
    while (this.#state === 'head' && at < end) {
      const call = this.#call;
      if (call === undefined) return;
      const { events, request } = call;
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
      const fault = frameResponse(head, request.method);
      if (fault !== undefined) {
        this.#fail(fault);
        return;
      }
      if (this.kid !== undefined && head.body === 'until-close' && head.status >= 200) {
        // node:tls does not tell a cut from an end.
        this.#fail('inside TLS its end must show in its framing, and this answer ends with the connection');
        return;
      }
      const headStart = at;
      at = headEnd;
      if (head.status === 101) {
        const unasked = switchFault(head, request.upgrade);
        if (unasked !== undefined) {
          this.#fail(unasked);
          return;
        }
        this.#state = 'tunnel';
        this.#keepAlive = false;
        this.deadline = coarseNow() + this.#timeouts.tunnel_idle;
        events.onSwitched(head);
        if (at < end) events.onTunnelDown(from, at, end);
        return;
      }
      if (head.status < 200) {
        events.onInterim(head.status);
        continue;
      }
      const bodyBytes = wholeBody(head, end - at);
      if (bodyBytes === Number.POSITIVE_INFINITY && this.#restIsNear(head)) {
        this.#stash = Buffer.from(from.subarray(headStart, end));
        return;
      }
      if (!events.takes(bodyBytes)) {
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
        this.#beginBody(head, call, from, at, end);
        return;
      }
      const bodyEnd = at + bodyBytes;
      call.forgetBody();
      events.onResponse(head, true, from, at, bodyEnd);
      at = bodyEnd;
      // Whoever is told of the end may put another head together there.
      const rest = from === assemblyBuffer && at < end ? Buffer.from(from.subarray(at, end)) : undefined;
      this.#finish(at < end, bodyBytes <= smallBytes);
      if (rest !== undefined) {
        rest.copy(assemblyBuffer);
        at = 0;
        end = rest.length;
      }
    }
    if (this.#isDropping && at < end) this.#drop(from, at, end);
  }

  get #isDropping(): boolean {
    return this.#state === 'abandoned';
  }

  /** Reads what no one waits for. */
  #drop(buffer: Buffer, start: number, end: number): void {
    const result = this.#abandoned?.drop(buffer, start, end);
    if (result === 'more') return;
    this.#abandoned = undefined;
    if (result === 'ended') this.#lieReady();
    else this.close();
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
    this.#pool.onDelay(this.kid !== undefined);
    const call = this.#call;
    this.#end(call);
    call?.events.onLost(displaced);
  }

  /** The turn of its exchange has come: a response that waited for it is passed on. */
  proceed(): void {
    const stash = this.#stash;
    if (!this.#suspended || stash === undefined) return;
    this.#suspended = false;
    this.#stash = undefined;
    stash.copy(assemblyBuffer);
    this.#heads(assemblyBuffer, stash.length);
    if (!this.#blocked && this.#state !== 'closed') this.resume();
  }

  #noteHead(head: ResponseHead): void {
    this.deadline = coarseNow() + this.#timeouts.tunnel_idle;
    this.#keepAlive = !head.close && head.body !== 'until-close';
    this.#keepAliveMs = keepAliveHint(head);
  }

  #beginBody(head: ResponseHead, call: ClientCall, from: Buffer, at: number, end: number): void {
    // Of known length it will end, and what was begun for those behind it ends with it.
    this.disband();
    this.#state = 'body';
    this.#remaining = head.contentLength;
    this.#untilClose = head.body === 'until-close';
    this.#decoder =
      head.body === 'chunked'
        ? new ChunkedDecoder(trailerLimitBytes, (buffer, from, to) =>
            this.#call?.events.onResponsePiece(buffer, from, to),
          )
        : undefined;
    this.bodyBuffer = takeBodyBuffer(this.#expected - (end - at));
    call.forgetBody();
    call.events.onResponse(head, false, from, at, at);
    if (at < end) this.#body(from, at, end);
  }

  #body(buffer: Buffer, start: number, end: number): void {
    this.deadline = coarseNow() + this.#timeouts.tunnel_idle;
    const call = this.#call;
    if (call === undefined) return;
    const { events } = call;
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
      events.onResponsePiece(buffer, start, end);
    } else {
      at = Math.min(end, start + this.#remaining);
      this.#remaining -= at - start;
      events.onResponsePiece(buffer, start, at);
      ended = this.#remaining === 0;
    }
    const destination = events.responseProgress;
    if (ended) {
      this.#releaseBuffer(destination);
      this.#decoder = undefined;
      events.onResponseEnd(decoder?.trailers);
      this.#finish(at < end, false);
      if (this.#isDropping && at < end) this.#drop(buffer, at, end);
    } else if (destination.writableLength > 0 && this.#call !== undefined) {
      // The kernel has not taken all of it: those bytes must stay as they are until it has.
      this.#releaseBuffer(destination);
      this.bodyBuffer = takeBodyBuffer(this.#expected);
    }
  }

  /** Bytes of the body that are still to come; Infinity when that is not known. */
  get #expected(): number {
    return this.#untilClose || this.#decoder !== undefined ? Number.POSITIVE_INFINITY : this.#remaining;
  }

  #releaseBuffer(destination: WriteProgress): void {
    if (this.bodyBuffer !== undefined) releaseBodyBuffer(this.socket, this.bodyBuffer, destination);
    this.bodyBuffer = undefined;
  }

  /** The response is complete. @param excess bytes follow it @param whole it came in one piece */
  #finish(excess: boolean, whole: boolean): void {
    const call = this.#call;
    if (call === undefined) return;
    this.#call = undefined;
    this.#pool.inFlight--;
    const goesOn = this.#keepAlive && !this.#readEnded && call.isSent;
    const next = goesOn ? this.#behind?.shift() : undefined;
    if (next !== undefined) {
      this.#call = next;
      this.#answered = false;
      // The end that had it blocked has got all.
      this.#blocked = false;
      this.awaitResponse();
    } else if (goesOn && (!excess || this.#abandoned !== undefined)) {
      this.#isShared = false;
      this.#reused = true;
      this.resume();
      if (this.#abandoned === undefined) this.#lieReady();
      else {
        this.#state = 'abandoned';
        this.deadline = coarseNow() + this.#timeouts.response;
      }
    } else this.close();
    const ms = call.events.onResponseComplete();
    if (call.isShareable) this.#pool.onAnswer(ms, whole, this.kid !== undefined);
  }

  #fail(detail: string): void {
    const call = this.#call;
    this.#end(call);
    call?.events.onLost({ kind: 'broken', detail });
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
    this.#state = 'closed';
    this.deadline = Number.POSITIVE_INFINITY;
    this.#pool.forget(this);
    this.disband();
    this.socket.destroy();
  }

  /**
   * Ends a connection in the middle of a call, so that the peer cannot take the request for a whole one. Others that
   * share it are retried on their own connections.
   */
  abort(call: ClientCall): void {
    // One that has been answered, or displaced, is none of ours any more.
    if (call === this.#call || this.keepsWaiting(call)) this.#end(call);
  }

  /** @param ended the call that ends with it */
  #end(ended: ClientCall | undefined): void {
    const all = this.#call === undefined ? [] : [this.#call, ...(this.#behind ?? [])];
    this.#pool.inFlight -= all.length;
    this.#call = undefined;
    this.#behind = undefined;
    for (const call of all) if (call !== ended) call.events.onLost(displaced);
    this.#state = 'closed';
    if (this.socket.connecting) this.socket.destroy();
    else this.socket.resetAndDestroy();
  }

  onReadEnd(): void {
    this.#readEnded = true;
    if (this.#state === 'body' && this.#untilClose) {
      this.#untilClose = false;
      this.bodyBuffer = undefined;
      this.#call?.events.onResponseEnd(undefined);
      this.#finish(false, false);
    } else if (this.#state === 'tunnel') this.#call?.events.onTunnelDownEnd();
    else if (this.#state === 'idle' || this.#state === 'abandoned') this.close();
    else this.socket.destroy();
  }

  /** Bytes pass in the other direction of the tunnel. */
  keepTunnel(): void {
    this.deadline = coarseNow() + this.#timeouts.tunnel_idle;
  }

  onDrain(): void {
    this.#call?.events.onCalleeDrain();
  }

  onDeadline(): void {
    if (this.#state === 'idle' || this.#state === 'abandoned') {
      this.close();
      return;
    }
    this.#timedOut = true;
    // Its turn may come before the socket has closed.
    this.#stash = undefined;
    // A reset, so that the peer stops working on a request that no one waits for.
    if (this.connected) this.socket.resetAndDestroy();
    else this.socket.destroy();
  }

  onClosed(error: Error | undefined): void {
    unwatch(this);
    this.#pool.forget(this);
    const call = this.#call;
    this.#state = 'closed';
    this.bodyBuffer = undefined;
    const unproven = this.#unproven(error);
    if (this.connected) this.#pool.onClosed(this.kid !== undefined);
    else if (unproven !== undefined) this.#pool.onUnproven(unproven, this.kid as string, this.#dialledAtMs);
    else if (call !== undefined || this.#timedOut) this.#pool.onUnreachable();
    this.disband();
    if (call === undefined) return;
    this.#call = undefined;
    this.#pool.inFlight--;
    call.events.onLost(unproven === undefined ? this.#loss(error) : { kind: 'unproven', failure: unproven });
  }

  /** Why the host did not prove itself, when it could be connected to and did not. */
  #unproven(error: Error | undefined): HandshakeFailure | undefined {
    if (this.connected || !(error instanceof HandshakeError)) return undefined;
    return this.#timedOut ? 'timed-out' : error.failure;
  }

  #loss(closed: Error | undefined): Loss {
    const error =
      closed === undefined ? undefined : ((closed as NodeJS.ErrnoException).code ?? closed.message);
    if (!this.connected) return { kind: 'unreachable', timedOut: this.#timedOut, error };
    if (this.#timedOut) return { kind: 'timed-out' };
    if (this.#answered) return { kind: 'cut', error };
    return this.#isShared ? displaced : { kind: 'unanswered', reused: this.#reused, error };
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
