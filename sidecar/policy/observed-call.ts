/** Calls of one kind that a sidecar saw come in: what suggestions and comparisons start from. */
export interface ObservedCall {
  /** Proven by a MAC; what a call only claims is not here. */
  readonly caller: string | undefined;
  readonly callee: string;
  readonly method: string;
  /** The path with its ids folded. */
  readonly template: string;
  /** A raw path that was called. */
  readonly example: string;
  /** Why the call was denied; empty when it was allowed. */
  readonly reason: string;
  readonly count: number;
  /** RFC 3339 */
  readonly last: string;
}
