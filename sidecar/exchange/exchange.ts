import { performance } from 'node:perf_hooks';
import type { Span } from '../../signals/trace-context.ts';
import { FieldSection } from '../http1/field-section.ts';
import type { RequestToSend } from '../http1/outgoing-message.ts';
import { problem } from '../http1/problem.ts';
import type { RequestHead } from '../http1/request-head.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import { responseTrailers, type Trailers } from '../http1/trailer-fields.ts';
import type { Failure } from '../terms/call-record.ts';
import { handshakeFailures } from '../terms/handshake.ts';
import type { Refusal } from '../terms/refusal.ts';
import { type Attempts, afterLoss, choose, noAttempt } from './attempts.ts';
import type {
  CalleeEnd,
  CalleeEvents,
  CallerEnd,
  CallerEvents,
  Destination,
  HowToSend,
  Loss,
} from './ends.ts';
import { GuardedBody } from './guarded-body.ts';
import { OverheadClock } from './overhead-clock.ts';
import type { Call, CallFacts, Prepared, Role, Sending } from './role.ts';
import { SentBody } from './sent-body.ts';
import { Tunnel } from './tunnel.ts';

/** A tunnel's call is over for the record, but its ends are not. */
type Phase = 'waiting' | 'responding' | Tunnel | 'over';

/** One request and its response, between the end that it came in on and the end that it went out on. */
export class Exchange implements Call, CallerEvents, CalleeEvents {
  readonly callerEnd: CallerEnd;
  readonly requestId: string;
  readonly method: string;
  /** Raw path, without the query. */
  readonly path: string;
  readonly facts: CallFacts;
  readonly span: Span | undefined;
  readonly #role: Role;
  /** Monotonic milliseconds. */
  readonly #startedAtMs: number;
  /** Monotonic milliseconds; undefined while no response has come from the callee's end. */
  #firstByteAtMs: number | undefined = undefined;
  readonly #overhead: OverheadClock;
  #phase: Phase = 'waiting';
  /** Why it was refused or broke off. */
  #failure: Failure | undefined = undefined;
  #status = 0;
  /** The request has been passed on as a whole. */
  #requestEnded = true;
  /** What is sent, and how far that is; forgotten once the response has begun. */
  #sending: Sending | undefined = undefined;
  #attempts: Attempts = noAttempt;
  #destination: Destination | undefined = undefined;
  #sent: RequestToSend | undefined = undefined;
  #prepared: Prepared | undefined = undefined;
  #streamed: GuardedBody | SentBody | undefined = undefined;
  #calleeEnd: CalleeEnd | undefined = undefined;
  /** Names that Connection listed in the response. */
  #responseHopByHop: ReadonlySet<string> | undefined = undefined;

  /** @param startedAtMs when its head had been read, in monotonic milliseconds */
  constructor(
    role: Role,
    callerEnd: CallerEnd,
    head: RequestHead,
    requestId: string,
    facts: CallFacts,
    startedAtMs: number,
  ) {
    this.#role = role;
    this.#startedAtMs = startedAtMs;
    this.#overhead = new OverheadClock(startedAtMs);
    this.callerEnd = callerEnd;
    this.requestId = requestId;
    this.method = head.method;
    this.path = head.path;
    this.facts = facts;
    this.span = role.onStart(facts, head);
  }

  /** Reads a body of known length as a whole (see `CallerEnd.collect`). */
  collect(head: RequestHead, then: (head: RequestHead, body: Buffer) => void): void {
    this.#overhead.stop(performance.now());
    this.callerEnd.collect(head, (kept, body) => {
      this.#overhead.start(performance.now());
      then(kept, body);
    });
  }

  /** Sends the request. */
  send(sending: Sending): void {
    this.#sending = sending;
    this.#requestEnded = !sending.isStreamed;
    this.#attempt(sending, undefined);
    this.#overhead.stop(performance.now());
  }

  /** The request as it was sent last, until the response has begun. */
  get sent(): RequestToSend | undefined {
    return this.#sent;
  }

  /** Whether it has neither been answered nor come to an end. */
  get isWaiting(): boolean {
    return this.#phase === 'waiting';
  }

  /** Whether its body can be used: it is collected, or its way to the callee is open. */
  get canReadBody(): boolean {
    return this.isWaiting && (this.#calleeEnd === undefined || this.#calleeEnd.isConnected);
  }

  /** Whether the same request was sent a second time. */
  get wasResent(): boolean {
    return this.#attempts.kind === 'resent';
  }

  /** @param refusal why nothing may be sent to a destination that was tried */
  #attempt(sending: Sending, refusal: Refusal | undefined): void {
    const { destinations } = sending;
    const tried = this.#attempts.kind === 'choosing' ? this.#attempts.tried : destinations;
    const destination = choose(destinations, tried, Math.random);
    if (destination === undefined) {
      this.refuse(refusal ?? this.#unreachable(destinations));
      return;
    }
    const prepared =
      typeof sending.prepared === 'function' ? sending.prepared(destination) : sending.prepared;
    if ('reason' in prepared) {
      this.#attempts = { kind: 'choosing', tried: [...tried, destination] };
      this.#attempt(sending, prepared);
      return;
    }
    this.#prepared = prepared;
    const { body, shareable } = prepared;
    if (body instanceof GuardedBody || body instanceof SentBody) {
      this.#streamed = body;
      const callee = this.#open(destination, prepared, undefined, 'streamed');
      if (!callee.isConnected) this.callerEnd.block();
    } else {
      this.#streamed = undefined;
      this.#open(destination, prepared, body, shareable ? 'shareable' : 'alone');
    }
  }

  #unreachable(destinations: readonly Destination[]): Refusal {
    const hosts = destinations.map((one) => `${one.address}:${one.port}`).join(', ');
    return {
      reason: 'upstream-failed',
      detail: `No host of ${this.facts.callee} could be connected to: ${hosts}.`,
    };
  }

  #open(
    destination: Destination,
    { permit, request, sealed }: Prepared,
    body: Buffer | undefined,
    how: HowToSend,
  ): CalleeEnd {
    this.#destination = destination;
    this.#sent = request;
    const callee = destination.open(permit, request, body, how, sealed, this);
    this.#calleeEnd = callee;
    return callee;
  }

  get requestProgress() {
    return this.#calleeEnd?.progress;
  }

  get responseProgress() {
    return this.callerEnd.progress;
  }

  onConnected(): void {
    const callee = this.#calleeEnd;
    if (this.#streamed instanceof SentBody && callee !== undefined) this.#streamed.replay(callee);
    if (!this.#requestEnded) this.callerEnd.resume();
  }

  onRequestPiece(buffer: Buffer, start: number, end: number): void {
    const callee = this.#calleeEnd;
    if (callee === undefined) return;
    const more = this.#streamed?.write(callee, buffer, start, end);
    if (more === false) this.callerEnd.block();
    else if (typeof more === 'object') this.onRequestBroken(more);
  }

  onRequestEnd(trailers: Trailers | undefined): void {
    const callee = this.#calleeEnd;
    if (callee === undefined) return;
    const refusal = this.#streamed?.end(callee, trailers);
    if (refusal === undefined) this.#requestEnded = true;
    else this.onRequestBroken(refusal);
  }

  /** The body of the request cannot be completed: what has been passed on of it must not look whole. */
  onRequestBroken(refusal: Refusal): void {
    this.#abortCallee();
    if (this.#phase === 'responding') this.#breakOff(refusal);
    else this.refuse(refusal, true);
  }

  /**
   * Answers with a problem of our own.
   *
   * @param close ends the connection of the caller behind it
   */
  refuse(refusal: Refusal, close = false): void {
    this.#fail(refusal);
    const answer = problem(refusal, this.requestId);
    this.#status = answer.status;
    this.#end('over');
    this.callerEnd.refuse(answer, close || !this.#requestEnded);
  }

  /** Part of the response is with the caller: a clean end would make it look whole. */
  #breakOff(refusal: Refusal): void {
    this.#fail(refusal);
    this.callerEnd.abort();
    this.#end('over');
  }

  #fail({ reason, detail }: Refusal): void {
    this.#failure = { refused: reason, detail };
  }

  /**
   * Only a 100 (Continue) that the client asked for is passed on, once and without fields; the others are dropped,
   * against RFC 9110 §15.2: clients that take one for the final response would read the final one as the answer to
   * their next call, which may be to another callee.
   */
  onInterim(status: number): void {
    if (status === 100) this.callerEnd.sendContinue();
  }

  /** The fields that are passed on of a response, and our own. */
  #responseFields(head: ResponseHead): FieldSection {
    const fields = new FieldSection().addKept(head, this.#role.responseDrop, head.hopByHop);
    this.#role.addResponseFields(this, fields);
    return fields.add('X-Request-ID', this.requestId);
  }

  takes(wholeBytes: number): boolean {
    return this.callerEnd.takes(wholeBytes);
  }

  onTurn(): void {
    this.#calleeEnd?.proceed();
  }

  onResponse(head: ResponseHead, whole: boolean, buffer: Buffer, start: number, end: number): void {
    const nowMs = performance.now();
    this.#firstByteAtMs = nowMs;
    this.#overhead.start(nowMs);
    const refusal = this.#role.onResponse(this, head);
    if (refusal !== undefined) {
      this.#abortCallee();
      this.refuse(refusal);
      return;
    }
    this.#phase = 'responding';
    this.#sending = undefined;
    this.#prepared = undefined;
    this.#sent = undefined;
    if (this.#streamed instanceof SentBody) this.#streamed.forget(this.#calleeEnd);
    this.#status = head.status;
    this.#responseHopByHop = head.hopByHop;
    const fields = this.#responseFields(head);
    const { statusAndPhrase, contentLength: length } = head;
    const body = head.body === 'none' || head.body === 'length' ? head.body : 'unknown';
    const response = { statusAndPhrase, fields, body, length } as const;
    this.callerEnd.respond(response, !this.#requestEnded, whole, buffer, start, end);
    if (!whole) this.#overhead.stop(performance.now());
  }

  onResponsePiece(buffer: Buffer, start: number, end: number): void {
    if (!this.callerEnd.write(buffer, start, end)) this.#calleeEnd?.block();
  }

  onResponseEnd(trailers: Trailers | undefined): void {
    this.callerEnd.end(trailers && responseTrailers(trailers, this.#responseHopByHop));
  }

  onResponseComplete(): number {
    this.#calleeEnd = undefined;
    const ms = this.#end('over');
    this.callerEnd.finish();
    return ms;
  }

  onCallerDrain(): void {
    this.#calleeEnd?.resume();
  }

  onCalleeDrain(): void {
    this.callerEnd.resume();
  }

  onLost(loss: Loss): void {
    this.#calleeEnd = undefined;
    if (this.#phase instanceof Tunnel) {
      this.callerEnd.closeTunnel();
      return;
    }
    const sending = this.#sending;
    const destination = this.#destination as Destination;
    this.#overhead.start(performance.now());
    if (sending !== undefined) {
      const next = afterLoss(this.#attempts, destination, loss, (reused) => this.#mayResend(reused));
      switch (next.step) {
        case 'choose-again':
          this.#attempts = next.attempts;
          this.#attempt(sending, undefined);
          this.#overhead.stop(performance.now());
          return;
        case 'resend':
          this.#attempts = next.attempts;
          this.#resend(destination, this.#prepared as Prepared);
          this.#overhead.stop(performance.now());
          return;
        case 'prepare-again':
          this.#role.prepareAgain(this, this.#prepared as Prepared);
          return;
        case 'sign-again':
          // Whoever reports it is in the midst of other work.
          setImmediate(() => {
            if (this.#phase === 'waiting') this.#role.sendAgain(this, this.#sent as RequestToSend);
          });
          return;
      }
    }
    const refusal = refusalOf(loss, this.facts.callee, destination);
    if (this.#phase === 'responding') this.#breakOff(refusal);
    else this.refuse(refusal);
  }

  /** Sends the same request once more, with all that has been sent of its body. */
  #resend(destination: Destination, prepared: Prepared): void {
    if (this.#streamed === undefined)
      this.#open(destination, prepared, prepared.body as Buffer | undefined, 'fresh');
    else {
      this.callerEnd.block();
      this.#open(destination, prepared, undefined, 'streamed-fresh');
    }
  }

  #mayResend(reused: boolean): boolean {
    const body = this.#streamed;
    const isAtHand = body === undefined || (body instanceof SentBody && body.isKept);
    return isAtHand && this.#role.mayResend(this, reused);
  }

  onCallerClosed(): void {
    const callee = this.#calleeEnd;
    this.#calleeEnd = undefined;
    if (this.#phase instanceof Tunnel) {
      callee?.closeTunnel();
      this.#role.onTunnelEnd(this);
    } else callee?.abort();
    this.#end('over');
  }

  #abortCallee(): void {
    this.#calleeEnd?.abort();
    this.#calleeEnd = undefined;
  }

  /** Ends both ends at once. */
  abort(): void {
    this.#abortCallee();
    this.callerEnd.abort();
  }

  /** The callee agreed to a WebSocket: from here on bytes pass as they come, in both directions. */
  onSwitched(head: ResponseHead): void {
    this.#firstByteAtMs = performance.now();
    this.#overhead.start(this.#firstByteAtMs);
    this.#status = 101;
    this.#sending = undefined;
    this.#sent = undefined;
    this.#end(new Tunnel(this.callerEnd, this.#calleeEnd as CalleeEnd));
    this.#role.onTunnel(this);
    this.callerEnd.openTunnel(head.statusAndPhrase, this.#responseFields(head));
  }

  onTunnelUp(buffer: Buffer, start: number, end: number): boolean {
    return this.#phase instanceof Tunnel && this.#phase.up(buffer, start, end);
  }

  onTunnelUpEnd(): void {
    if (this.#phase instanceof Tunnel) this.#phase.endUp();
  }

  onTunnelDown(buffer: Buffer, start: number, end: number): void {
    if (this.#phase instanceof Tunnel) this.#phase.down(buffer, start, end);
  }

  onTunnelDownEnd(): void {
    if (this.#phase instanceof Tunnel) this.#phase.endDown();
  }

  onTunnelIdle(): void {
    this.abort();
  }

  onTunnelRetired(): void {
    if (this.#phase instanceof Tunnel) this.#phase.retire();
  }

  /** The call is over, or has become a tunnel: it is recorded, once. @returns milliseconds that it took */
  #end(phase: Tunnel | 'over'): number {
    const isFirst = this.#phase === 'waiting' || this.#phase === 'responding';
    this.#phase = phase;
    if (!isFirst) return 0;
    const endedAtMs = performance.now();
    const { verdict, caller, callee, claimed, kid, skewSeconds, hop } = this.facts;
    const failure = this.#failure;
    this.#role.onEnd({
      direction: this.#role.direction,
      requestId: this.requestId,
      caller,
      callee,
      claimed,
      method: this.method,
      path: this.path,
      kid,
      skewSeconds,
      hop,
      startedAtMs: this.#startedAtMs,
      firstByteAtMs: this.#firstByteAtMs,
      endedAtMs,
      overheadMs: this.#overhead.totalMs(endedAtMs),
      // A denial is the verdict itself; anything else happened to a call whatever its verdict was.
      verdict: failure === undefined || ('allowed' in verdict && !verdict.allowed) ? verdict : failure,
      disposition: failure === undefined ? 'forwarded' : 'refused',
      status: this.#status,
      span: this.span,
    });
    return endedAtMs - this.#startedAtMs;
  }
}

/** What is said of a request that was lost for good. */
function refusalOf(loss: Loss, callee: string, { address, port }: Destination): Refusal {
  const who = `${callee} at ${address}:${port}`;
  switch (loss.kind) {
    case 'unproven': {
      const why = handshakeFailures[loss.failure];
      return { reason: 'peer-unproven', detail: `${who} did not prove the pair key: ${why}.` };
    }
    case 'broken':
      return { reason: 'upstream-failed', detail: `${callee} did not answer properly: ${loss.detail}.` };
    default: {
      if (loss.kind === 'timed-out' || (loss.kind === 'unreachable' && loss.timedOut))
        return { reason: 'upstream-timeout', detail: `${who} did not answer in time.` };
      const error = 'error' in loss && loss.error !== undefined ? ` (${loss.error})` : '';
      const detail = `${who} closed the connection before its answer was complete${error}.`;
      return { reason: 'upstream-failed', detail };
    }
  }
}
