import type { Span } from '../../signals/trace-context.ts';
import type { FieldSection } from '../http1/field-section.ts';
import type { RequestToSend } from '../http1/outgoing-message.ts';
import type { RequestHead } from '../http1/request-head.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import type { CallRecord, Direction } from '../terms/call-record.ts';
import type { Permit } from '../terms/permit.ts';
import type { Refusal } from '../terms/refusal.ts';
import type { CallerEnd, Destination } from './ends.ts';
import type { GuardedBody } from './guarded-body.ts';
import type { SentBody } from './sent-body.ts';

/** What inbound and outbound find out about a call: the part of its record that is theirs. */
export type CallFacts = {
  -readonly [Fact in
    | 'caller'
    | 'callee'
    | 'claimed'
    | 'kid'
    | 'skewSeconds'
    | 'hop'
    | 'verdict']: CallRecord[Fact];
};

/** A request to one destination that may be sent. */
export interface Prepared {
  readonly permit: Permit;
  readonly request: RequestToSend;
  /** The body: at hand as a whole, or passed on as it comes. */
  readonly body: Buffer | GuardedBody | SentBody | undefined;
  /** Whether it may share a connection with other requests: the destination decides. */
  readonly shareable: boolean;
  /** Inside TLS with the pair key. */
  readonly sealed: boolean;
}

/** A request to send, and where to. */
export interface Sending {
  readonly destinations: readonly Destination[];
  /** What is sent, or what makes it for the destination that is chosen, or says why nothing may be sent to it. */
  readonly prepared: Prepared | ((destination: Destination) => Prepared | Refusal);
  /** Its body is passed on as it comes. */
  readonly isStreamed: boolean;
}

/** A call under way, as inbound and outbound see it. */
export interface Call {
  readonly callerEnd: CallerEnd;
  readonly requestId: string;
  readonly method: string;
  /** Raw path, without the query. */
  readonly path: string;
  readonly facts: CallFacts;
  /** Its span, when it belongs to a sampled trace: what is sent continues the trace below it. */
  readonly span: Span | undefined;
  /** Whether it has neither been answered nor come to an end. */
  readonly isWaiting: boolean;
  /** Whether its body can be used: it is collected, or its way to the callee is open. */
  readonly canReadBody: boolean;
  /** The request as it was sent last, until the response has begun. */
  readonly sent: RequestToSend | undefined;
  /** Whether the same request was sent a second time. */
  readonly wasResent: boolean;
  /** Reads a body of known length as a whole (see `CallerEnd.collect`). */
  collect(head: RequestHead, then: (head: RequestHead, body: Buffer) => void): void;
  /** Sends the request. */
  send(sending: Sending): void;
  /**
   * Answers with a problem of our own.
   *
   * @param close ends the connection of the caller behind it
   */
  refuse(refusal: Refusal, close?: boolean): void;
  /** Ends both ends at once. */
  abort(): void;
}

/** What inbound and outbound differ in once an exchange is under way. */
export interface Role {
  readonly direction: Direction;
  /** Fields of responses that end here, as a table for `keptLines`. */
  readonly responseDrop: Uint8Array;
  /**
   * Whether a request may be sent once more after its connection ended before any byte of a response.
   *
   * @param reused the connection had served other requests before
   */
  mayResend(call: Call, reused: boolean): boolean;
  /** Sends a request again that was in the way of others or they in its: signed again, on a connection to itself. */
  sendAgain(call: Call, sent: RequestToSend): void;
  /** The host that was chosen did not prove the pair key; nothing of the request was sent. */
  prepareAgain(call: Call, prepared: Prepared): void;
  /** A response is about to be passed on; a refusal answers in its place. */
  onResponse(call: Call, head: ResponseHead): Refusal | undefined;
  /** Adds our own fields to a response. */
  addResponseFields(call: Call, fields: FieldSection): void;
  /** The exchange has become a tunnel, which ends with `onTunnelEnd`. */
  onTunnel(call: Call): void;
  onTunnelEnd(call: Call): void;
  /** A call has begun: called once, before anything happens to it. @returns its span, if it belongs to a sampled trace */
  onStart(facts: CallFacts, head: RequestHead): Span | undefined;
  /** The exchange is over, or has become a tunnel: called once. */
  onEnd(record: CallRecord): void;
}
