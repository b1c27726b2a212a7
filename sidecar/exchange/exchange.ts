import { performance } from 'node:perf_hooks';
import { giveBackBody } from '../connections/body-buffers.ts';
import { BodyWriter, type SentFraming, smallBytes } from '../connections/body-writer.ts';
import type { Upstream } from '../connections/client-connection.ts';
import { choose, type UpstreamHost } from '../connections/host-pool.ts';
import type { Downstream } from '../connections/server-connection.ts';
import { corkForThisTurn } from '../connections/socket.ts';
import { problemResponse } from '../http1/problem.ts';
import type { RequestHead } from '../http1/request-head.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import { responseTrailerLines } from '../http1/response-trailers.ts';
import type { CallRecord, Direction } from '../terms/call-record.ts';
import type { Refusal } from '../terms/refusal.ts';
import type { Side } from './side.ts';
import { type BodyGuard, StreamedRequest } from './streamed-request.ts';
import { Tunnel } from './tunnel.ts';

/** Of an exchange that ends before anybody could decide on it: only its caller can have gone. */
const undecided = { refused: 'upstream-failed', detail: '' } as const;

/** One request and its response, from the connection that it came on to the connection that it went out on. */
export class Exchange implements CallRecord {
  readonly side: Side;
  readonly direction: Direction;
  readonly downstream: Downstream;
  readonly requestId: string;
  readonly method: string;
  readonly path: string;
  readonly minorVersion: number;
  readonly upgrade: boolean;
  /** Monotonic milliseconds, as `endedAtMs`. */
  readonly startedAtMs = performance.now();
  endedAtMs = 0;
  verdict: CallRecord['verdict'] = undecided;
  disposition: 'forwarded' | 'refused' = 'forwarded';
  caller: string | undefined = undefined;
  claimed: string | undefined = undefined;
  kid: string | undefined = undefined;
  skewSeconds: number | undefined = undefined;
  callee = '';
  status = 0;
  /** The request has been passed on as a whole. */
  requestEnded = true;
  resent = false;
  /** What the exchange has become, when both ends agreed to it. */
  tunnel: Tunnel | undefined = undefined;
  /**
   * Sends the request once more, by itself and newly signed: so it may leave together with others on one connection,
   * where they can be in its way.
   */
  sendAnew: (() => void) | undefined = undefined;
  /** A whole response that waits until its turn has come. */
  held: string | undefined = undefined;
  /** The connection of the caller ends behind this response. */
  closes = false;
  #ended = false;
  #upstream: Upstream | undefined = undefined;
  #hosts: readonly UpstreamHost[] = [];
  #tried: Set<UpstreamHost> | undefined = undefined;
  #compose: string | ((host: UpstreamHost) => string) = '';
  #sentHead = '';
  #body: Buffer | undefined = undefined;
  #responseStarted = false;
  #streamed: StreamedRequest | undefined = undefined;
  #responseWriter: BodyWriter | undefined = undefined;
  /** Names that Connection listed in the response. */
  #responseHopByHop: ReadonlySet<string> | undefined = undefined;
  /** The client has asked for 100 (Continue) and has not got it. */
  #awaitsContinue: boolean;

  constructor(side: Side, downstream: Downstream, head: RequestHead, requestId: string) {
    this.side = side;
    this.direction = side.direction;
    this.downstream = downstream;
    this.requestId = requestId;
    this.method = head.method;
    this.path = head.path;
    this.minorVersion = head.minorVersion;
    this.upgrade = head.upgrade;
    this.closes = head.close;
    this.#awaitsContinue = head.expects && head.minorVersion === 1;
    downstream.turns.begin(this);
  }

  /** The head as it was sent, until the response has begun. */
  get sentHead(): string {
    return this.#sentHead;
  }

  get peerAddress(): string {
    return this.downstream.peerAddress;
  }

  get upstreamSocket() {
    return this.#upstream?.socket;
  }

  /**
   * Sends a request whose body, if any, is at hand.
   *
   * @param compose the head, or what makes it for the host that is chosen
   */
  send(
    hosts: readonly UpstreamHost[],
    compose: string | ((host: UpstreamHost) => string),
    body?: Buffer,
  ): void {
    this.#hosts = hosts;
    this.#compose = compose;
    this.#body = body;
    this.#connect();
  }

  /**
   * Sends a request whose body is passed on as it comes.
   *
   * @param framing how the body is sent; `length` holds its last byte back until `guard` has finished
   * @param length bytes, with `length`
   */
  stream(
    hosts: readonly UpstreamHost[],
    compose: string | ((host: UpstreamHost) => string),
    framing: SentFraming,
    length: number,
    guard: BodyGuard | undefined,
  ): void {
    this.requestEnded = false;
    this.#streamed = new StreamedRequest(framing, length, guard);
    this.send(hosts, compose);
  }

  #connect(): void {
    const host = choose(this.#hosts, this.#tried, Math.random);
    if (host === undefined) {
      this.refuse({
        reason: 'upstream-failed',
        detail: `No host of ${this.callee} could be connected to: ${this.#hosts.map((h) => `${h.address}:${h.port}`).join(', ')}.`,
      });
      return;
    }
    const head = typeof this.#compose === 'string' ? this.#compose : this.#compose(host);
    if (this.sendAnew !== undefined && host.departures?.areWorthIt() === true) {
      this.#sentHead = head;
      host.departures.join(this);
    } else this.#sendTo(host.take(), head);
  }

  /** The request leaves by itself after all. */
  departAlone(upstream: Upstream): void {
    this.#sendTo(upstream, this.#sentHead);
  }

  /** The request leaves together with others, which share its connection. */
  departOn(upstream: Upstream): void {
    this.#upstream = upstream;
  }

  /** Its place behind others came to nothing: it is sent anew, by itself. */
  onDisplaced(): void {
    const { sendAnew } = this;
    this.#upstream = undefined;
    this.sendAnew = undefined;
    // Whoever displaces it is in the midst of other work.
    setImmediate(() => {
      if (!this.#ended) sendAnew?.();
    });
  }

  get ended(): boolean {
    return this.#ended;
  }

  #sendTo(upstream: Upstream, head: string): void {
    this.#upstream = upstream;
    this.#sentHead = head;
    upstream.begin(this);
    const body = this.#body;
    if (!this.requestEnded) {
      if (upstream.connected) corkForThisTurn(upstream.socket);
      upstream.socket.write(head, 'latin1');
      this.#streamed?.begin(upstream.socket);
      if (!upstream.connected) this.downstream.block();
      return;
    }
    if (body === undefined) upstream.socket.write(head, 'latin1');
    else if (body.length <= smallBytes)
      upstream.socket.write(head + body.latin1Slice(0, body.length), 'latin1');
    else {
      upstream.socket.cork();
      upstream.socket.write(head, 'latin1');
      upstream.socket.write(body);
      upstream.socket.uncork();
    }
    upstream.awaitResponse();
  }

  onUpstreamConnected(): void {
    if (!this.requestEnded) this.downstream.resume();
    else this.#upstream?.awaitResponse();
  }

  onRequestPiece(buffer: Buffer, start: number, end: number): void {
    if (this.#upstream === undefined) return;
    const more = this.#streamed?.write(buffer, start, end);
    if (more === false) this.downstream.block();
    else if (typeof more === 'object') this.onRequestBroken(more);
  }

  onRequestEnd(trailers: ReadonlyMap<string, string> | undefined): void {
    if (this.#upstream === undefined) return;
    const refusal = this.#streamed?.end(trailers);
    if (refusal !== undefined) {
      this.onRequestBroken(refusal);
      return;
    }
    this.requestEnded = true;
    this.#upstream.awaitResponse();
  }

  /** The body of the request cannot be completed: what has been passed on of it must not look whole. */
  onRequestBroken(refusal: Refusal): void {
    this.#upstream?.abort(this);
    this.#upstream = undefined;
    if (this.#responseStarted) {
      this.#recordRefusal(refusal);
      this.downstream.abort();
      this.#end();
    } else this.refuse(refusal, true);
  }

  /** Answers with a problem of our own. */
  refuse(refusal: Refusal, close = false): void {
    this.#recordRefusal(refusal);
    const closing = close || this.closes || !this.requestEnded || this.downstream.endsBehind(this);
    const response = problemResponse(
      refusal.reason,
      refusal.detail,
      this.requestId,
      closing,
      this.method !== 'HEAD',
    );
    this.status = Number(response.slice(9, 12));
    this.#end();
    this.downstream.answer(this, response, closing);
  }

  #recordRefusal(refusal: Refusal): void {
    this.disposition = 'refused';
    const { verdict } = this;
    // A denial is the verdict itself; anything else happened to a call whatever its verdict was.
    if ('refused' in verdict || verdict.allowed) {
      this.verdict = { refused: refusal.reason, detail: refusal.detail };
    }
  }

  /**
   * An interim response. Only a 100 (Continue) that the client asked for is passed on, once and without fields; the
   * others are dropped, against RFC 9110 §15.2: clients that take one for the final response would read the final one as
   * the answer to their next call, which may be to another callee.
   */
  onInterim(status: number): void {
    if (status !== 100 || !this.#awaitsContinue || this.downstream.exchange !== this) return;
    this.#awaitsContinue = false;
    this.downstream.turns.flush();
    this.downstream.socket.write('HTTP/1.1 100 Continue\r\n\r\n', 'latin1');
  }

  /**
   * Whether a response can be passed on now: in its turn any, before it only one that can be kept.
   *
   * @param wholeBytes of a body that is there as a whole; otherwise Infinity
   */
  takes(wholeBytes: number): boolean {
    return wholeBytes <= smallBytes || this.downstream.exchange === this;
  }

  /** Its turn to answer has come. */
  onTurn(): void {
    this.#upstream?.proceed();
  }

  /**
   * The head of the response, and its body if `whole`: `start` to `end` of `buffer`.
   */
  onResponse(head: ResponseHead, whole: boolean, buffer: Buffer, start: number, end: number): void {
    const refusal = this.side.onResponse(this, head);
    if (refusal !== undefined) {
      this.#upstream?.abort(this);
      this.#upstream = undefined;
      this.refuse(refusal);
      return;
    }
    this.#responseStarted = true;
    // From here on it will not be sent once more.
    if (this.#body !== undefined && this.#upstream !== undefined)
      giveBackBody(this.#body, this.#upstream.socket);
    this.#body = undefined;
    this.#sentHead = '';
    this.status = head.status;
    const old = this.minorVersion === 0;
    const framing: SentFraming =
      head.body === 'none' || head.body === 'length' ? head.body : old ? 'until-close' : 'chunked';
    if (framing === 'until-close' || !this.requestEnded || this.downstream.endsBehind(this)) {
      this.closes = true;
    }
    const text =
      `HTTP/1.1 ${head.statusAndPhrase}\r\n` +
      head.keptLines(this.side.responseDrop, head.hopByHop) +
      this.side.responseLines(this) +
      `X-Request-ID: ${this.requestId}\r\n` +
      (framing === 'chunked' ? 'Transfer-Encoding: chunked\r\n' : '') +
      (this.closes ? 'Connection: close\r\n\r\n' : old ? 'Connection: keep-alive\r\n\r\n' : '\r\n');
    const { socket, turns } = this.downstream;
    if (whole && end - start <= smallBytes) {
      turns.send(this, start === end ? text : text + buffer.latin1Slice(start, end));
      return;
    }
    turns.flush();
    corkForThisTurn(socket);
    socket.write(text, 'latin1');
    this.#responseWriter = new BodyWriter(socket, framing, head.contentLength);
    this.#responseHopByHop = head.hopByHop;
    if (whole) this.#responseWriter.write(buffer, start, end);
  }

  onResponsePiece(buffer: Buffer, start: number, end: number): void {
    if (this.#responseWriter?.write(buffer, start, end) === false) this.#upstream?.block();
  }

  onResponseEnd(trailers: ReadonlyMap<string, string> | undefined): void {
    this.#responseWriter?.end(responseTrailerLines(trailers, this.#responseHopByHop));
  }

  /** The response has been passed on as a whole. */
  onResponseComplete(): void {
    const { host } = this.#upstream as Upstream;
    this.#upstream = undefined;
    this.#end();
    if (this.sendAnew !== undefined) {
      host.departures?.onAnswer(this.endedAtMs - this.startedAtMs, this.#responseWriter === undefined);
    }
    this.downstream.finish(this, this.closes);
  }

  onDownstreamDrain(): void {
    this.#upstream?.resume();
  }

  onUpstreamDrain(): void {
    this.downstream.resume();
  }

  /** The upstream broke the rules of HTTP; its connection is gone already. */
  onUpstreamBroken(what: string): void {
    this.#upstream = undefined;
    this.#lose({ reason: 'upstream-failed', detail: `${this.callee} did not answer properly: ${what}.` });
  }

  /** The connection to the upstream closed before the response was complete. */
  onUpstreamLost(upstream: Upstream, error: Error | undefined): void {
    this.#upstream = undefined;
    if (this.tunnel !== undefined) {
      this.downstream.socket.destroySoon();
      return;
    }
    if (upstream.isShared && !upstream.answered && !upstream.timedOut) {
      this.onDisplaced();
      return;
    }
    if (!upstream.connected && !this.resent) {
      this.#tried ??= new Set();
      this.#tried.add(upstream.host);
      this.#connect();
      return;
    }
    if (!this.#responseStarted && !upstream.answered && !upstream.timedOut && !this.resent) {
      if (this.requestEnded && this.#streamed === undefined && this.side.mayResend(this, upstream)) {
        this.resent = true;
        this.#sendTo(upstream.host.dial(), this.#sentHead);
        return;
      }
    }
    const where = `${upstream.host.address}:${upstream.host.port}`;
    this.#lose(
      upstream.timedOut
        ? { reason: 'upstream-timeout', detail: `${this.callee} at ${where} did not answer in time.` }
        : {
            reason: 'upstream-failed',
            detail: `${this.callee} at ${where} closed the connection before its answer was complete${error === undefined ? '' : ` (${(error as NodeJS.ErrnoException).code ?? error.message})`}.`,
          },
    );
  }

  #lose(refusal: Refusal): void {
    if (!this.#responseStarted) {
      this.refuse(refusal, !this.requestEnded);
      return;
    }
    // Part of the answer is with the client: a clean end would make it look whole.
    this.#recordRefusal(refusal);
    this.downstream.abort();
    this.#end();
  }

  onDownstreamClosed(): void {
    const upstream = this.#upstream;
    this.#upstream = undefined;
    if (this.tunnel !== undefined) upstream?.socket.destroySoon();
    else upstream?.abort(this);
    this.#end();
  }

  /** Ends both sides at once. */
  abort(): void {
    this.#upstream?.abort(this);
    this.#upstream = undefined;
    this.downstream.abort();
  }

  /**
   * The client has sent its FIN: if it has gone for good, a byte that says nothing brings its reset, and so the
   * upstream stops working for nobody; if it only closed its own half, it is served on. A 100 (Continue) that it did not
   * ask for can't be mistaken for the answer to a later request: it has said that it sends none.
   */
  probeDownstream(): void {
    if (this.#responseStarted) this.#responseWriter?.probe();
    else if (this.minorVersion === 1) this.downstream.socket.write('HTTP/1.1 100 Continue\r\n\r\n', 'latin1');
  }

  get responseStarted(): boolean {
    return this.#responseStarted;
  }

  /** The upstream agreed to a WebSocket: from here on bytes pass as they come, in both directions. */
  onSwitched(head: ResponseHead): void {
    this.status = 101;
    this.#responseStarted = true;
    this.tunnel = new Tunnel(this.downstream, this.#upstream as Upstream);
    const lines = head.keptLines(this.side.responseDrop, head.hopByHop);
    this.downstream.socket.write(
      `HTTP/1.1 ${head.statusAndPhrase}\r\n${lines}X-Request-ID: ${this.requestId}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
      'latin1',
    );
    this.side.onTunnel(this);
    this.#end();
    this.downstream.becomeTunnel();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.endedAtMs = performance.now();
    this.side.onEnd(this);
  }
}
