import type { CallerEvents, RequestHandler } from '../exchange/ends.ts';
import { frameRequest } from '../http1/framing.ts';
import { parseRequestHead } from '../http1/head-parser.ts';
import { hasBareLineEnd, headRefusal, headTooLarge } from '../http1/head-refusal.ts';
import { problem, problemText } from '../http1/problem.ts';
import type { RequestHead } from '../http1/request-head.ts';
import type { Hop, Peer } from '../terms/handshake.ts';
import type { Refusal } from '../terms/refusal.ts';
import type { Place, PlaceHolder } from './admission.ts';
import { BodyPace } from './body-pace.ts';
import { CollectedBody } from './collected-body.ts';
import { coarseNow, type Timed, unwatch, watch } from './deadlines.ts';
import { ReadBuffer } from './read-buffer.ts';
import { RequestBody } from './request-body.ts';
import { ResponseOrder } from './response-order.ts';
import { isSpent } from './sealed-lifetime.ts';
import type { SealedSocket } from './sealed-socket.ts';
import { type CallConnection, ServerCall } from './server-call.ts';
import { type OwnedSocket, releaseBodyBuffer, type SocketOwner, takeBodyBuffer } from './socket.ts';

type State = 'head' | 'collect' | 'body' | 'busy' | 'tunnel' | 'linger' | 'closed';

/** How long a client that has half-closed its connection waits for its answer before it is probed. */
const probeAfterMs = 1_000;
/** How long the reset of a client that has gone may take. */
const resetMs = 20;
const lingerMs = 2_000;
const lingerBytes = 16 * 1024 * 1024;

/** What all connections to one side of the sidecar have in common. */
export interface Served {
  readonly handler: RequestHandler;
  /** Those that are open. */
  readonly connections: Set<ServerConnection>;
  readonly onClosed: (connection: ServerConnection) => void;
}

/**
 * A connection on which requests arrive: finds heads and bodies in it. One request follows the other, but safe ones
 * without a body, which run side by side.
 */
export class ServerConnection implements CallConnection, PlaceHolder, SocketOwner, Timed {
  readonly socket: OwnedSocket;
  readonly order: ResponseOrder<ServerCall>;
  /** The callee of a listener that serves one callee only. */
  readonly route: string | undefined;
  /** Who has proven the pair key of this connection; undefined on a plain one. */
  readonly peer: Peer | undefined;
  readonly #servedSinceMs = coarseNow();
  bodyBuffer: Buffer | undefined = undefined;
  deadline: number;
  /** The peer has sent its FIN. */
  readEnded = false;
  state: State = 'head';
  requests = 0;
  /** Among all inbound connections; undefined on outbound, which only the local app reaches. */
  place: Place | undefined = undefined;
  /** The present request has been put back once. */
  wasSuspended = false;
  readonly #served: Served;
  readonly #handler: RequestHandler;
  /** What follows may begin beside what is under way. */
  #readsAhead = false;
  /** What has come but is not used yet: a part of a head, or what follows the present request. */
  readonly #unread = new ReadBuffer();
  /** No more of the body is to be read for now. */
  #blocked = false;
  /** The socket was told to read no more. */
  #stopped = false;
  #headStart = 0;
  #headDeadline = Number.POSITIVE_INFINITY;
  /** The body of the present request, while it arrives. */
  #body: RequestBody | CollectedBody | undefined = undefined;
  /** Of a body whose peer has proven nothing. */
  #pace: BodyPace | undefined = undefined;
  #lingered = 0;

  private constructor(
    socket: OwnedSocket,
    served: Served,
    route: string | undefined,
    peer: Peer | undefined,
  ) {
    this.#served = served;
    this.#handler = served.handler;
    this.route = route;
    this.peer = peer;
    this.deadline = coarseNow() + served.handler.timeouts.idle;
    this.socket = socket;
    this.order = new ResponseOrder((text) => this.socket.write(text, 'latin1'));
  }

  /** Serves a connection, whose owner it is from then on. @param peer who has proven it, if it is sealed */
  static serve(
    socket: OwnedSocket,
    served: Served,
    route: string | undefined,
    peer: Peer | undefined,
  ): ServerConnection {
    const connection = new ServerConnection(socket, served, route, peer);
    socket.owner = connection;
    served.connections.add(connection);
    watch(connection);
    return connection;
  }

  /** How requests come on it. */
  get hop(): Hop {
    this.#hop ??= { sealed: this.peer !== undefined, host: this.peerAddress };
    return this.#hop;
  }
  #hop: Hop | undefined = undefined;

  /** No further call is taken: it ends behind those that are under way. */
  retire(): void {
    this.#isRetired = true;
    this.#readsAhead = false;
    if (this.state === 'head' && this.order.front === undefined && !this.#unread.hasKept) this.end();
    else if (this.state === 'tunnel') this.#front?.onTunnelRetired();
  }
  #isRetired = false;

  /** Whether a sealed connection has carried so much, or is so old, that it takes no further call. */
  #isSpent(): boolean {
    if (this.peer === undefined) return false;
    return isSpent(this.socket as unknown as SealedSocket, coarseNow() - this.#servedSinceMs);
  }

  /** Whether no request is under way: at most a part of a head has come. */
  get isWaiting(): boolean {
    return this.state === 'head';
  }

  /** Whether a request may be about to arrive that was sent to nobody else: the first one, or one half read. */
  get isUndecided(): boolean {
    return this.state === 'head' && (this.requests === 0 || this.#unread.hasKept);
  }

  /** The peer's IP address; IPv4 without the prefix that a dual-stack listener adds. */
  get peerAddress(): string {
    this.#peerAddress ??= (this.socket.remoteAddress ?? 'unknown').replace(/^::ffff:(?=\d+\.)/, '');
    return this.#peerAddress;
  }
  #peerAddress: string | undefined = undefined;

  /** What the request is told whose response leaves next. */
  get #front(): CallerEvents | undefined {
    return this.order.front?.events;
  }

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
        break;
      case 'collect':
      case 'body':
        this.#pace?.add(length);
        break;
      case 'tunnel':
        this.deadline = coarseNow() + this.#handler.timeouts.tunnel_idle;
        return this.#front?.onTunnelUp(buffer, 0, length) ?? false;
      case 'busy':
        if (this.#readsAhead) break;
        this.#unread.keep(buffer, 0, length);
        return false;
      default:
        this.#lingered += length;
        if (this.#lingered > lingerBytes) this.socket.destroy();
        return true;
    }
    this.#unread.take(buffer, length);
    this.#use();
    return this.#wantsMore();
  }

  #wantsMore(): boolean {
    return !this.#blocked && (!this.#unread.hasKept || this.state === 'head' || this.#readsAhead);
  }

  /** Uses up what has come; what cannot be used yet is kept. */
  #use(): void {
    const unread = this.#unread;
    while (unread.at < unread.end && !this.#blocked) {
      if (this.state === 'head') {
        if (!this.#head()) break;
      } else if (this.#body !== undefined) this.#useBody(this.#body);
      else if (this.state !== 'busy' || !this.#readsAhead || !this.#headAhead()) break;
    }
    if (this.state === 'linger' || this.state === 'closed') unread.at = unread.end;
    else unread.keepRest();
  }

  /** Takes one head off the bytes; false when it is not complete yet. */
  #head(): boolean {
    const { limits } = this.#handler;
    const unread = this.#unread;
    const end = unread.headEnd();
    const { at: start, buffer } = unread;
    if (end < 0) {
      if (start === unread.end) return false;
      this.#headBegan();
      if (unread.end - start > limits.head) this.#refuse(headTooLarge(limits.head));
      else if (hasBareLineEnd(buffer, start, unread.end)) {
        this.#refuse({ reason: 'malformed-request', detail: 'A line of the head ends in a bare CR or LF.' });
      }
      return false;
    }
    if (end - start > limits.head) {
      this.#refuse(headTooLarge(limits.head));
      return true;
    }
    const head = parseRequestHead(buffer, start, end, limits.headers);
    if ('error' in head) {
      this.#refuse(headRefusal(head, buffer, start, limits.headers));
      return true;
    }
    const refusal = frameRequest(head, this.#handler.absoluteFormReplacesHost);
    if (refusal !== undefined) this.#refuse(refusal);
    else this.#begin(head, start, end);
    return true;
  }

  /**
   * Takes the next head while others are under way, if it may run beside them; whatever else comes, faults included,
   * waits until its turn has come. False when nothing was taken.
   */
  #headAhead(): boolean {
    const { limits, draining } = this.#handler;
    if (draining) {
      // Its client finds out from the last answer, and asks whoever comes next.
      this.#readsAhead = false;
      return false;
    }
    const unread = this.#unread;
    const end = unread.headEnd();
    const { at: start, buffer } = unread;
    if (end < 0) {
      this.#readsAhead = unread.end - start <= limits.head;
      return false;
    }
    const head = end - start > limits.head ? undefined : parseRequestHead(buffer, start, end, limits.headers);
    if (
      head === undefined ||
      'error' in head ||
      frameRequest(head, this.#handler.absoluteFormReplacesHost) !== undefined ||
      !head.isSafe ||
      head.close
    ) {
      this.#readsAhead = false;
      return false;
    }
    this.#begin(head, start, end);
    return true;
  }

  #begin(head: RequestHead, start: number, end: number): void {
    this.#headStart = start;
    this.#unread.at = end;
    this.state = 'busy';
    this.#headDeadline = Number.POSITIVE_INFINITY;
    this.deadline = Number.POSITIVE_INFINITY;
    this.requests++;
    this.place?.onRequest();
    // A client that takes no answers has none asked for ahead, either: they would pile up.
    this.#readsAhead =
      head.isSafe &&
      !head.close &&
      !this.#handler.draining &&
      !this.socket.writableNeedDrain &&
      this.order.hasRoom();
    this.#handler.onRequest(new ServerCall(this, head), head);
  }

  begin(call: ServerCall): void {
    this.wasSuspended = false;
    this.order.begin(call);
  }

  #headBegan(): void {
    if (this.#headDeadline !== Number.POSITIVE_INFINITY) return;
    this.#headDeadline = coarseNow() + this.#handler.timeouts.head;
    this.deadline = this.#headDeadline;
  }

  /** Puts the request whose head was just read back until `resume()`: it is then read again. */
  suspend(): void {
    this.#unread.at = this.#headStart;
    this.requests--;
    if (this.order.front !== undefined) {
      // It only ran ahead: it comes again when it is alone.
      this.#readsAhead = false;
      return;
    }
    this.#blocked = true;
    this.wasSuspended = true;
    this.state = 'head';
  }

  /** Goes on reading after `suspend()` or `block()`. */
  resume(): void {
    this.#blocked = false;
    if (this.state === 'closed') return;
    if (this.state === 'body') {
      this.#pace?.restart(coarseNow());
      this.#awaitBody();
    }
    const { state } = this;
    if ((state === 'head' || state === 'body' || state === 'collect') && this.#unread.takeKept()) this.#use();
    if (this.#awaitsNothing()) this.end();
    else if (this.#wantsMore() || this.state === 'tunnel') this.#readOn();
  }

  /** Whether all that the peer has sent, up to its FIN, is answered. */
  #awaitsNothing(): boolean {
    return this.readEnded && this.state === 'head' && !this.#blocked && !this.#unread.hasKept;
  }

  /** Reads no more of the body until `resume()`. */
  block(): void {
    this.#blocked = true;
    if (this.state === 'body') this.deadline = coarseNow() + this.#handler.timeouts.response;
  }

  /** Bytes pass in the other direction of the tunnel. */
  keepTunnel(): void {
    this.deadline = coarseNow() + this.#handler.timeouts.tunnel_idle;
  }

  /** Whether the body of the present request, of a known length, has come with its head. */
  hasWholeBody({ contentLength }: RequestHead): boolean {
    return this.#unread.end - this.#unread.at >= contentLength;
  }

  /**
   * The whole body of the present request, of a known length, at once: for bodies that are digested before they are
   * passed on.
   *
   * @param then given the head too: a copy if the body is still to come, for then the head is another one's
   */
  collect(head: RequestHead, then: (head: RequestHead, body: Buffer) => void): void {
    const length = head.contentLength;
    const isHere = this.hasWholeBody(head);
    const kept = isHere ? head : head.keep();
    const body = new CollectedBody(length, (whole) => then(kept, whole));
    body.use(this.#unread);
    if (isHere) {
      body.onEnd();
      return;
    }
    this.#releaseBuffer();
    this.#body = body;
    this.bodyBuffer = body.room;
    this.state = 'collect';
    this.#watchPace();
    this.#awaitBody();
  }

  /** Passes the body of the present request to its exchange as it comes. */
  stream(head: RequestHead): void {
    this.state = 'body';
    this.#watchPace();
    if (this.#blocked) this.deadline = coarseNow() + this.#handler.timeouts.response;
    else this.#awaitBody();
    this.#body = new RequestBody(
      head,
      this.#handler.limits.head,
      (buffer, start, end) => this.#front?.onRequestPiece(buffer, start, end),
      (trailers) => this.#front?.onRequestEnd(trailers),
    );
    const here = this.#unread.end - this.#unread.at;
    this.bodyBuffer ??= takeBodyBuffer(this.#body.remaining - here);
  }

  /** A proven peer may send as slowly as it likes. */
  #watchPace(): void {
    this.#pace = this.place?.isProven === false ? new BodyPace(coarseNow()) : undefined;
  }

  /** Sets the time by which more of the body has to come. */
  #awaitBody(): void {
    const idleUntil = coarseNow() + this.#handler.timeouts.idle;
    this.deadline = Math.min(idleUntil, this.#pace?.endsAtMs ?? Number.POSITIVE_INFINITY);
  }

  /** Gives the bytes of a body to whoever it is for. */
  #useBody(body: RequestBody | CollectedBody): void {
    this.#awaitBody();
    const broken = body.use(this.#unread);
    if (broken !== undefined) {
      this.#front?.onRequestBroken(broken);
      return;
    }
    const progress = this.#front?.requestProgress;
    if (body.ended) this.#endBody(body);
    else if (body.room !== undefined) this.bodyBuffer = body.room;
    else if (progress !== undefined && progress.writableLength > 0 && this.state === 'body') {
      // The kernel has not taken all of it: those bytes must stay as they are until it has.
      this.#releaseBuffer();
      this.bodyBuffer = takeBodyBuffer(body.remaining);
    }
  }

  #endBody(body: RequestBody | CollectedBody): void {
    if (body.room === undefined) this.#releaseBuffer();
    this.bodyBuffer = undefined;
    this.#body = undefined;
    // Its last piece may have ended the exchange already.
    if (this.state !== 'body' && this.state !== 'collect') return;
    this.state = 'busy';
    this.deadline = Number.POSITIVE_INFINITY;
    body.onEnd(body.trailers);
  }

  #releaseBuffer(): void {
    if (this.bodyBuffer !== undefined) {
      releaseBodyBuffer(this.socket, this.bodyBuffer, this.#front?.requestProgress);
    }
  }

  /** From here on bytes go to the other side of the tunnel as they come. */
  becomeTunnel(): void {
    this.state = 'tunnel';
    this.deadline = coarseNow() + this.#handler.timeouts.tunnel_idle;
    const kept = this.#unread.giveKept();
    if (kept !== undefined) this.#front?.onTunnelUp(kept, 0, kept.length);
    this.#readOn();
  }

  /** Whether the connection ends behind this call, whatever its messages say. */
  endsBehind(call: ServerCall): boolean {
    const ends =
      this.#handler.draining ||
      this.#isRetired ||
      (this.readEnded && !this.#unread.hasKept) ||
      this.#isSpent();
    return ends && this.order.isLast(call);
  }

  /** The response to a call is complete: sent, or kept until its turn has come. */
  finish(call: ServerCall): void {
    // Nothing is answered behind it.
    if (call.closes) this.#readsAhead = false;
    if (call !== this.order.front || this.state === 'closed') return;
    let done = call;
    for (;;) {
      const next = this.order.next();
      if (done.closes || (next === undefined && (this.#handler.draining || this.#isRetired))) break;
      if (next === undefined) {
        this.#goOn();
        return;
      }
      if (next.queued === undefined) {
        next.events?.onTurn();
        return;
      }
      this.order.send(next, next.queued);
      done = next;
    }
    this.end();
  }

  /** Nothing is under way any more: the next request may come. */
  #goOn(): void {
    if (this.state === 'body' || this.state === 'collect') {
      this.end();
      return;
    }
    this.state = 'head';
    this.deadline = coarseNow() + this.#handler.timeouts.idle;
    this.place?.onIdle();
    // A client that sends requests and takes no answers gets no further ones until it does.
    if (this.socket.writableNeedDrain) this.#blocked = true;
    else if (this.#unread.hasKept) this.resume();
    else if (this.readEnded) this.end();
    else this.#readOn();
  }

  /** Closes in both directions, but reads on for a while: a reset would take our answer back. */
  end(): void {
    if (this.state === 'closed' || this.state === 'linger') return;
    this.state = 'linger';
    this.#unread.giveKept();
    this.#body = undefined;
    this.bodyBuffer = undefined;
    this.#blocked = false;
    // What is written has the time of an idle connection to leave: only then does the lingering begin.
    this.deadline = coarseNow() + this.#handler.timeouts.idle;
    this.order.flush();
    for (const call of this.order.clear()) call.events?.onCallerClosed();
    this.socket.end(() => {
      this.deadline = coarseNow() + lingerMs;
    });
    if (!this.readEnded) this.#readOn();
  }

  #refuse(refusal: Refusal): void {
    const requestId = this.#handler.onMalformed(refusal);
    this.#unread.at = this.#unread.end;
    this.socket.write(problemText(problem(refusal, requestId), true, true), 'latin1');
    this.end();
  }

  onDeadline(): void {
    switch (this.state) {
      case 'head':
        if (!this.#unread.hasKept) this.end();
        else
          this.#refuse({
            reason: 'request-timeout',
            detail: 'The head of the request did not arrive in time.',
          });
        return;
      case 'collect':
      case 'body':
        this.#onBodyDeadline();
        return;
      case 'tunnel':
        this.#front?.onTunnelIdle();
        return;
      case 'busy':
        this.#probe();
        return;
      default:
        this.socket.destroy();
    }
  }

  #onBodyDeadline(): void {
    const now = coarseNow();
    const pace =
      this.#blocked || this.#pace === undefined || now < this.#pace.endsAtMs ? undefined : this.#pace;
    if (pace?.isTooSlow(now) === false) {
      this.#awaitBody();
      return;
    }
    this.#front?.onRequestBroken(
      this.#blocked
        ? { reason: 'upstream-timeout', detail: 'The body of the request was not taken in time.' }
        : {
            reason: 'request-timeout',
            detail:
              pace === undefined
                ? 'The body of the request stopped arriving.'
                : 'The body of the request arrived at less than 1 KiB/s.',
          },
    );
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
        if (this.order.front?.isResponding) this.#probe();
        else this.deadline = coarseNow() + probeAfterMs;
        return;
      case 'tunnel':
        this.#front?.onTunnelUpEnd();
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
    const { front } = this.order;
    this.order.flush();
    front?.probe();
    setTimeout(() => {
      if (front !== undefined && this.order.front === front) front.probe();
    }, resetMs).unref();
  }

  onDrain(): void {
    if (this.#front !== undefined) this.#front.onCallerDrain();
    else if (this.state === 'head') this.resume();
  }

  /** Closes at once: the place is needed for another connection, and no request is under way. */
  evict(): void {
    this.socket.destroy();
  }

  /** Ends the connection so that the peer cannot take what it got for the whole. */
  abort(): void {
    this.socket.resetAndDestroy();
  }

  onClosed(): void {
    const calls = this.order.clear();
    this.state = 'closed';
    this.bodyBuffer = undefined;
    this.#unread.giveKept();
    this.#body = undefined;
    unwatch(this);
    this.#served.connections.delete(this);
    this.place?.leave();
    this.#served.onClosed(this);
    for (const call of calls) call.events?.onCallerClosed();
  }
}
