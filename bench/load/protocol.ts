import type { Call, Dialect, Identity } from './signer.ts';

/** What one worker of the generator is to do. */
export interface Load {
  readonly port: number;
  readonly dialect: Dialect;
  readonly identity: Identity;
  readonly call: Call;
  readonly connections: number;
  /** Requests a second, by the clock; 0: each connection as fast as it is answered; -1: one request on each connection, then silence. */
  readonly perSecond: number;
  /** Requests to sign before the first one is sent; the others are signed as they are sent. */
  readonly prepared?: number;
}

export type Command =
  | { readonly do: 'open'; readonly load: Load }
  | { readonly do: 'report' }
  | { readonly do: 'close' };

/** What happened since the last report. */
export interface Report {
  readonly requests: number;
  /** Answers other than 2xx, and connections lost in the middle of a request. */
  readonly bad: number;
  /** Bytes of the answers. */
  readonly received: number;
  /** Bytes of the requests, as far as the kernel has taken them. */
  readonly sent: number;
  /** Connections that are open. */
  readonly open: number;
  readonly latencies: readonly number[];
}
