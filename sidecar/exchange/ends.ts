import type { FieldSection } from '../http1/field-section.ts';
import type { RequestToSend, ResponseToSend } from '../http1/outgoing-message.ts';
import type { Problem } from '../http1/problem.ts';
import type { RequestHead } from '../http1/request-head.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import type { Trailers } from '../http1/trailer-fields.ts';
import type { HandshakeFailure, Hop, Peer } from '../terms/handshake.ts';
import type { Permit } from '../terms/permit.ts';
import type { Refusal } from '../terms/refusal.ts';

/**
 * An exchange runs between two ends: the caller's, which a request came in on, and the callee's, which it goes out on.
 * This file is all that `exchange/`, `inbound/` and `outbound/` know of connections; `connections/` implements it.
 *
 * Ranges of buffers that are handed over here are valid during the call only: an end writes or copies them.
 */

/** How far an end has got with what it was given to write. Memory under a write must stay as it is until then. */
export interface WriteProgress {
  /** Bytes that were given and have not left yet. */
  readonly writableLength: number;
  /** Bytes that were given, since the connection began. */
  readonly bytesWritten: number;
  readonly destroyed: boolean;
}

/** Where one request comes from, and its response goes to. */
export interface CallerEnd {
  /** IP address; IPv4 without the prefix that a dual-stack listener adds. */
  readonly peerAddress: string;
  /** The callee of a listener that serves one callee only. */
  readonly route: string | undefined;
  /** Who has proven the pair key of this connection; undefined on a plain one. */
  readonly peer: Peer | undefined;
  /** How the request came. */
  readonly hop: Hop;
  /** Whether this request has been put back once (see `suspend`). */
  readonly wasSuspended: boolean;
  /** Of what this end was given to write. */
  readonly progress: WriteProgress;

  /** Takes the request up: it gets its place in the order of responses, and `events` learns what happens to it. */
  begin(events: CallerEvents): void;
  /** Instead of `begin`: puts the request back until `resume()`, when it is read again. */
  suspend(): void;
  /** Reads no more of the body until `resume()`. */
  block(): void;
  resume(): void;
  /** Whether a body of known length has come with its head: it can be collected at once. */
  hasWholeBody(head: RequestHead): boolean;
  /**
   * Reads a body of known length as a whole.
   *
   * @param then given the head as well: a kept one unless the body is here already
   */
  collect(head: RequestHead, then: (head: RequestHead, body: Buffer) => void): void;
  /** Passes the body to `events` as it comes. As `collect`, it may be called again until the first piece has come. */
  stream(head: RequestHead): void;

  /**
   * Whether a response can be sent now: when it is next any, before that only one that can be kept until its turn.
   *
   * @param wholeBytes of a body that is at hand as a whole; otherwise Infinity
   */
  takes(wholeBytes: number): boolean;
  /** Sends 100 (Continue) if it is next and its client waits for that (RFC 9110 §10.1.1). */
  sendContinue(): void;
  /**
   * Sends the head of the response and, if it is whole, its body, `start` to `end` of `buffer`.
   *
   * @param close the connection ends behind the response, whatever its messages say
   */
  respond(
    response: ResponseToSend,
    close: boolean,
    whole: boolean,
    buffer: Buffer,
    start: number,
    end: number,
  ): void;
  /** Sends a piece of the body. @returns false to rather wait for `onCallerDrain` */
  write(buffer: Buffer, start: number, end: number): boolean;
  /** Shows the end of the body. */
  end(trailers: FieldSection | undefined): void;
  /** The response is complete: the next one's turn comes, or the connection ends. */
  finish(): void;
  /** Answers with a problem, and finishes. */
  refuse(problem: Problem, close: boolean): void;
  /** Ends the connection so that the peer cannot take what it got for the whole. */
  abort(): void;

  /** Agrees to the WebSocket that was asked for: from here on bytes pass as they come. */
  openTunnel(statusAndPhrase: string, fields: FieldSection): void;
  /** Sends bytes of the tunnel. @returns false to rather wait for `onCallerDrain` */
  writeTunnel(buffer: Buffer, start: number, end: number): boolean;
  /** The other end has ended its half of the tunnel. */
  endTunnel(): void;
  /** The other end of the tunnel is gone: ends when what was given has left. */
  closeTunnel(): void;
  /** Bytes pass in the other direction of the tunnel. */
  keepTunnel(): void;
}

/** What happens at the caller's end. */
export interface CallerEvents {
  /** Of what the callee's end was given; undefined while there is none. */
  readonly requestProgress: WriteProgress | undefined;
  onRequestPiece(buffer: Buffer, start: number, end: number): void;
  onRequestEnd(trailers: Trailers | undefined): void;
  /** The body cannot be completed. */
  onRequestBroken(refusal: Refusal): void;
  /** The response to this request is the next one to leave. */
  onTurn(): void;
  onCallerDrain(): void;
  /** The caller's end is gone, or takes no more. */
  onCallerClosed(): void;
  /** Bytes of the tunnel. @returns false to read no more for now */
  onTunnelUp(buffer: Buffer, start: number, end: number): boolean;
  onTunnelUpEnd(): void;
  /** The tunnel has been silent for too long. */
  onTunnelIdle(): void;
  /** The key that the caller has proven is retired. */
  onTunnelRetired(): void;
}

/** What listens to the requests of connections. */
export interface RequestHandler {
  /** On outbound an absolute-form target replaces Host: it is a forward proxy. */
  readonly absoluteFormReplacesHost: boolean;
  /** Bytes of a head, and field lines of one. */
  readonly limits: { readonly head: number; readonly headers: number };
  /** In milliseconds. */
  readonly timeouts: {
    readonly head: number;
    readonly idle: number;
    readonly response: number;
    readonly tunnel_idle: number;
  };
  /** True once no further request is to be served: connections close behind the present one. */
  readonly draining: boolean;
  /** A well-framed request: the handler calls `begin` or `suspend` on its end. */
  onRequest(caller: CallerEnd, head: RequestHead): void;
  /** A message that is refused before it is anyone's request. @returns its request id */
  onMalformed(refusal: Refusal): string;
}

export type HowToSend = 'alone' | 'shareable' | 'streamed' | 'fresh' | 'streamed-fresh';

/** Where requests can be sent: one host, with the connections to it. */
export interface Destination {
  readonly address: string;
  readonly port: number;
  /** False while it is set aside because it could not be connected to. */
  readonly isReady: boolean;
  /** Requests under way. */
  readonly inFlight: number;
  /** How a request goes there inside TLS, and how in the clear. */
  readonly hops: { readonly sealed: Hop; readonly plain: Hop };
  /** Why the host can't be spoken to inside TLS at present; undefined when it can, or that is to be tried. */
  readonly unproven: HandshakeFailure | undefined;
  /**
   * Sends a request.
   *
   * @param sealed inside TLS with the pair key, or in the clear
   * @param body the whole body, if it has one and it is at hand
   * @param how its body follows piece by piece (`streamed`), it may share a connection with others (`shareable`), it
   *   has a connection to itself (`alone`) or a new one (`fresh`, `streamed-fresh`)
   */
  open(
    permit: Permit,
    request: RequestToSend,
    body: Buffer | undefined,
    how: HowToSend,
    sealed: boolean,
    events: CalleeEvents,
  ): CalleeEnd;
}

/** Where one request goes to, and its response comes from. */
export interface CalleeEnd {
  readonly isConnected: boolean;
  readonly progress: WriteProgress | undefined;
  /** Sends a piece of the body. @returns false to rather wait for `onCalleeDrain` */
  write(buffer: Buffer, start: number, end: number): boolean;
  /** What is written in this turn of the event loop leaves together. */
  corkForThisTurn(): void;
  /** The request is complete: from here on its response is due. */
  end(trailers: FieldSection | undefined): void;
  /** Reads no more of the response until `resume()`. */
  block(): void;
  resume(): void;
  /** The response may be passed on: one that waited for that is read on. */
  proceed(): void;
  /** Ends the request so that the peer cannot take it for a whole one. Nothing happens at this end any more. */
  abort(): void;

  /** Sends bytes of the tunnel. @returns false to rather wait for `onCalleeDrain` */
  writeTunnel(buffer: Buffer, start: number, end: number): boolean;
  endTunnel(): void;
  closeTunnel(): void;
  keepTunnel(): void;
}

/** How a request came to nothing before its response was complete. */
export type Loss =
  /** No connection came about. */
  | { readonly kind: 'unreachable'; readonly timedOut: boolean; readonly error: string | undefined }
  /** The host did not prove the pair key: nothing was sent. */
  | { readonly kind: 'unproven'; readonly failure: HandshakeFailure }
  /** It shared a connection with others, which are in its way: it is to be signed again and sent by itself. */
  | { readonly kind: 'displaced' }
  /** The connection ended before any byte of a response. @property reused it had served other requests before */
  | { readonly kind: 'unanswered'; readonly reused: boolean; readonly error: string | undefined }
  /** The response took too long. */
  | { readonly kind: 'timed-out' }
  /** The connection ended within the response. */
  | { readonly kind: 'cut'; readonly error: string | undefined }
  /** The response broke the rules of HTTP. */
  | { readonly kind: 'broken'; readonly detail: string };

/** What happens at the callee's end. */
export interface CalleeEvents {
  /** Of what the caller's end was given. */
  readonly responseProgress: WriteProgress;
  onConnected(): void;
  /** An interim response. @param status 100 or 102–199 */
  onInterim(status: number): void;
  /** Whether a response can be passed on now (see `CallerEnd.takes`). */
  takes(wholeBytes: number): boolean;
  /** The head of the response, and its body if `whole`: `start` to `end` of `buffer`. */
  onResponse(head: ResponseHead, whole: boolean, buffer: Buffer, start: number, end: number): void;
  onResponsePiece(buffer: Buffer, start: number, end: number): void;
  onResponseEnd(trailers: Trailers | undefined): void;
  /** Nothing happens at this end any more. @returns milliseconds that the exchange took */
  onResponseComplete(): number;
  /** Nothing happens at this end any more. */
  onLost(loss: Loss): void;
  onCalleeDrain(): void;
  /** The peer agrees to the WebSocket that was asked for. */
  onSwitched(head: ResponseHead): void;
  onTunnelDown(buffer: Buffer, start: number, end: number): void;
  onTunnelDownEnd(): void;
}
