import type { Exchange } from '../exchange/exchange.ts';
import type { RequestHead } from '../http1/request-head.ts';
import type { Refusal } from '../terms/refusal.ts';
import type { Downstream } from './server-connection.ts';

/** What one side of the sidecar does with the requests on its connections. */
export interface Pipeline {
  /** On outbound an absolute-form target replaces Host: it is a forward proxy. */
  readonly absoluteFormReplacesHost: boolean;
  readonly limits: { readonly head: number; readonly headers: number };
  readonly timeouts: {
    readonly head: number;
    readonly idle: number;
    readonly response: number;
    readonly tunnel_idle: number;
  };
  /** True once no further request is to be served: connections close behind the present one. */
  readonly draining: boolean;
  /** A well-framed request: either refuse it, or begin an exchange for it, or suspend the connection. */
  onRequest(downstream: Downstream, head: RequestHead): void;
  /** A message that is refused before it is anybody's request. */
  onMalformed(downstream: Downstream | undefined, refusal: Refusal): string;
  onClosed(downstream: Downstream, exchange: Exchange | undefined): void;
}
