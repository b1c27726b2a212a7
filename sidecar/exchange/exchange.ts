import type { Downstream } from '../downstream/downstream.ts';
import type { Reason } from '../errors.ts';
import { BodyWriter, type SentFraming } from '../http1/body-writer.ts';
import type { Refusal } from '../http1/framing.ts';
import { problemResponse } from '../http1/problem.ts';
import type { RequestHead } from '../http1/request-head.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import type { Verdict } from '../policy/verdict.ts';
import type { Upstream } from '../upstream/upstream.ts';
import { choose, type UpstreamHost } from '../upstream/upstream-host.ts';

/** What one side of the sidecar knows of how its exchanges run. */
export interface Side {
  /** Fields of responses that end here, as a table for `keptLines`. */
  readonly responseDrop: Uint8Array;
  readonly draining: boolean;
  /** Whether the request may be sent once more after its connection died before any byte of an answer. */
  mayResend(exchange: Exchange, upstream: Upstream): boolean;
  /** A response is about to be passed on; a refusal answers in its place. */
  onResponse(exchange: Exchange, head: ResponseHead): Refusal | undefined;
  /** Fields to add to a response, each with its CRLF. */
  responseLines(exchange: Exchange): string;
  onTunnel(exchange: Exchange): void;
  /** The exchange is over, or has become a tunnel: called once. */
  onEnd(exchange: Exchange): void;
}

/** What happens to a streamed body on its way, and at its end. */
export interface BodyGuard {
  update(piece: Buffer): void;
  /**
   * The body is complete: either the trailer lines to send behind it (each with its CRLF), or why it must not be
   * completed.
   */
  finish(trailers: ReadonlyMap<string, string> | undefined): string | Refusal;
}

/** A body of at most so many bytes goes out in one write with its head. */
const smallBytes = 16 * 1024;

/** One request and its response, from the connection that it came on to the connection that it went out on. */
export class Exchange {
  readonly side: Side;
  readonly downstream: Downstream;
  readonly requestId: string;
  readonly method: string;
  readonly path: string;
  readonly minorVersion: number;
  readonly upgrade: boolean;
  /** Monotonic milliseconds, as `endedAtMs`. */
  readonly startedAtMs = performance.now();
  endedAtMs = 0;
  verdict: Verdict | { readonly refused: Reason; readonly detail: string } | undefined = undefined;
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
  isTunnel = false;
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
  #requestWriter: BodyWriter | undefined = undefined;
  #requestFraming: SentFraming = 'none';
  #requestLength = 0;
  #responseWriter: BodyWriter | undefined = undefined;
  #guard: BodyGuard | undefined = undefined;
  #held: Buffer | undefined = undefined;

  constructor(side: Side, downstream: Downstream, head: RequestHead, requestId: string) {
    this.side = side;
    this.downstream = downstream;
    this.requestId = requestId;
    this.method = head.method;
    this.path = head.path;
    this.minorVersion = head.minorVersion;
    this.upgrade = head.upgrade;
    this.closes = head.close;
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
    this.#requestFraming = framing;
    this.#requestLength = length;
    this.#guard = guard;
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
      upstream.socket.write(head, 'latin1');
      this.#requestWriter = new BodyWriter(upstream.socket, this.#requestFraming, this.#requestLength);
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
    const writer = this.#requestWriter;
    if (this.#upstream === undefined || writer === undefined || start === end) return;
    this.#guard?.update(buffer.subarray(start, end));
    const held = this.#held === undefined ? 0 : 1;
    if (this.#requestFraming === 'length' && end - start > writer.remaining - held) {
      this.onRequestBroken({
        reason: 'digest-mismatch',
        detail: 'The body is longer than the length that was signed.',
      });
      return;
    }
    let last = end;
    if (this.#guard !== undefined && writer.framing === 'length' && end - start === writer.remaining) {
      // The app must not see the end of a body before it is proven.
      last = end - 1;
      this.#held = Buffer.from(buffer.subarray(last, end));
    }
    if (!writer.write(buffer, start, last)) this.downstream.block();
  }

  onRequestEnd(trailers: ReadonlyMap<string, string> | undefined): void {
    const writer = this.#requestWriter;
    const upstream = this.#upstream;
    if (upstream === undefined || writer === undefined) return;
    if (writer.framing === 'length' && writer.remaining !== (this.#held === undefined ? 0 : 1)) {
      this.onRequestBroken({
        reason: 'digest-mismatch',
        detail: 'The body is shorter than the length that was signed.',
      });
      return;
    }
    const finished = this.#guard?.finish(trailers) ?? '';
    if (typeof finished !== 'string') {
      this.onRequestBroken(finished);
      return;
    }
    if (this.#held !== undefined) writer.write(this.#held, 0, 1);
    writer.end(finished);
    this.requestEnded = true;
    upstream.awaitResponse();
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
    if (verdict === undefined || 'refused' in verdict || verdict.allowed) {
      this.verdict = { refused: refusal.reason, detail: refusal.detail };
    }
  }

  onInterim(head: ResponseHead): void {
    // Before its turn nobody can be told; whoever wants the response loses nothing by it.
    if (this.minorVersion === 0 || this.downstream.exchange !== this) return;
    this.downstream.turns.flush();
    const lines = head.keptLines(this.side.responseDrop, head.hopByHop);
    const interim = `HTTP/1.1 ${head.statusAndPhrase}\r\n${lines}\r\n`;
    if (!this.downstream.socket.write(interim, 'latin1')) this.#upstream?.block();
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
      (framing === 'chunked' ? 'Transfer-Encoding: chunked\r\n' : '') +
      (this.closes ? 'Connection: close\r\n\r\n' : old ? 'Connection: keep-alive\r\n\r\n' : '\r\n');
    const { socket, turns } = this.downstream;
    if (whole && end - start <= smallBytes) {
      turns.send(this, start === end ? text : text + buffer.latin1Slice(start, end));
      return;
    }
    turns.flush();
    socket.write(text, 'latin1');
    this.#responseWriter = new BodyWriter(socket, framing, head.contentLength);
    if (whole) this.#responseWriter.write(buffer, start, end);
  }

  onResponsePiece(buffer: Buffer, start: number, end: number): void {
    if (this.#responseWriter?.write(buffer, start, end) === false) this.#upstream?.block();
  }

  onResponseEnd(trailers: ReadonlyMap<string, string> | undefined): void {
    let lines = '';
    for (const [name, value] of trailers ?? []) lines += `${name}: ${value}\r\n`;
    this.#responseWriter?.end(lines);
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
    if (this.isTunnel) {
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
      if (this.requestEnded && this.#requestWriter === undefined && this.side.mayResend(this, upstream)) {
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
    if (this.isTunnel) upstream?.socket.destroySoon();
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
   * upstream stops working for nobody; if it only closed its own half, it is served on.
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
    this.isTunnel = true;
    const lines = head.keptLines(this.side.responseDrop, head.hopByHop);
    this.downstream.socket.write(
      `HTTP/1.1 ${head.statusAndPhrase}\r\n${lines}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
      'latin1',
    );
    this.side.onTunnel(this);
    this.#end();
    this.downstream.becomeTunnel();
  }

  /** @returns false to read no more for now */
  tunnelUp(buffer: Buffer, start: number, end: number): boolean {
    const upstream = this.#upstream;
    if (upstream === undefined) return false;
    upstream.keepTunnel();
    const more = upstream.socket.write(Buffer.from(buffer.subarray(start, end)));
    if (!more) this.downstream.block();
    return more;
  }

  tunnelDown(buffer: Buffer, start: number, end: number): void {
    this.downstream.keepTunnel();
    if (!this.downstream.socket.write(Buffer.from(buffer.subarray(start, end)))) this.#upstream?.block();
  }

  tunnelUpEnded(): void {
    this.#upstream?.socket.end();
  }

  tunnelDownEnded(): void {
    this.downstream.socket.end();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.endedAtMs = performance.now();
    this.side.onEnd(this);
  }
}
