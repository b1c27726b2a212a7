import type { Upstream } from '../connections/client-connection.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import type { Direction } from '../terms/call-record.ts';
import type { Refusal } from '../terms/refusal.ts';
import type { Exchange } from './exchange.ts';

/** What one side of the sidecar knows of how its exchanges run. */
export interface Side {
  readonly direction: Direction;
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
