import type { FieldSection } from '../http1/field-section.ts';
import type { RequestToSend } from '../http1/outgoing-message.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import type { CallRecord, Direction } from '../terms/call-record.ts';
import type { Refusal } from '../terms/refusal.ts';
import type { Exchange, Prepared } from './exchange.ts';

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
  mayResend(exchange: Exchange, reused: boolean): boolean;
  /** Sends a request again that was in the way of others or they in its: signed again, on a connection to itself. */
  sendAgain(exchange: Exchange, sent: RequestToSend): void;
  /** The host that was chosen did not prove the pair key; nothing of the request was sent. */
  prepareAgain(exchange: Exchange, prepared: Prepared): void;
  /** A response is about to be passed on; a refusal answers in its place. */
  onResponse(exchange: Exchange, head: ResponseHead): Refusal | undefined;
  /** Adds our own fields to a response. */
  addResponseFields(exchange: Exchange, fields: FieldSection): void;
  /** The exchange has become a tunnel, which ends with `onTunnelEnd`. */
  onTunnel(exchange: Exchange): void;
  onTunnelEnd(exchange: Exchange): void;
  /** The exchange is over, or has become a tunnel: called once. */
  onEnd(call: CallRecord): void;
}
