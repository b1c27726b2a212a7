import type { Span } from '../../signals/trace-context.ts';
import type { Hop } from './handshake.ts';
import { type Reason, reasons } from './reasons.ts';
import type { Verdict } from './verdict.ts';

export type Direction = 'inbound' | 'outbound';

/** A call that ended for a reason of protocol or transport, so that no verdict tells how. */
export interface Failure {
  readonly refused: Reason;
  /** One sentence: what was found, what was expected, what to do. */
  readonly detail: string;
}

/** One finished call, as the data path hands it over. */
export interface CallRecord {
  readonly direction: Direction;
  readonly requestId: string;
  /** Inbound: only when a MAC proved it. Outbound: the local service. */
  readonly caller?: string | undefined;
  readonly callee: string;
  /** What an unproven call says of itself. */
  readonly claimed?: string | undefined;
  readonly method: string;
  /** Raw path, without the query. */
  readonly path: string;
  readonly kid?: string | undefined;
  /** Verifier's clock minus `created`, in seconds; of proven calls only. */
  readonly skewSeconds?: number | undefined;
  /** The connection between the two sidecars; undefined when it took none. */
  readonly hop?: Hop | undefined;
  /** Monotonic milliseconds (`performance.now()`). */
  readonly startedAtMs: number;
  /** When the head of the response came from the callee's end; undefined when none came. */
  readonly firstByteAtMs?: number | undefined;
  readonly endedAtMs: number;
  /** How long it was in this sidecar's hands: neither end was waited for. */
  readonly overheadMs: number;
  readonly verdict: Verdict | Failure;
  readonly disposition: 'forwarded' | 'refused';
  /** Status of the response; 0 when there was none. */
  readonly status: number;
  /** Its span, when it belongs to a sampled trace. */
  readonly span?: Span | undefined;
}

/** The record of a message that is refused before it is anybody's call. */
export function malformed(
  direction: Direction,
  requestId: string,
  caller: string | undefined,
  callee: string,
  refusal: { readonly reason: Reason; readonly detail: string },
): CallRecord {
  const now = performance.now();
  return {
    direction,
    requestId,
    caller,
    callee,
    method: '',
    path: '',
    startedAtMs: now,
    endedAtMs: now,
    overheadMs: 0,
    verdict: { refused: refusal.reason, detail: refusal.detail },
    disposition: 'refused',
    status: 0,
  };
}

/** Every reason with the place of its counter; place 0 counts the allowed calls. */
export const reasonNames: readonly Reason[] = Object.keys(reasons) as Reason[];
const places = new Map<string, number>(reasonNames.map((reason, index) => [reason, index + 1]));

/** The counter's place for a verdict. */
export function outcomeOf(verdict: Verdict | Failure): number {
  if ('refused' in verdict) return places.get(verdict.refused) as number;
  return verdict.allowed ? 0 : (places.get(verdict.denial.reason) as number);
}

/** The reason that a counter's place stands for; empty for the allowed calls. */
export function reasonAt(outcome: number): Reason | '' {
  return outcome === 0 ? '' : (reasonNames[outcome - 1] ?? '');
}
