import { withoutTokens } from '../policy/path-template.ts';
import type { CallRecord, Direction } from '../terms/call-record.ts';
import type { Reason } from '../terms/reasons.ts';
import type { Denial } from '../terms/verdict.ts';
import { detach, detachText } from './detach.ts';

/** One refused call (or one that would have been refused); time in milliseconds since the epoch. */
export interface DenialEntry {
  readonly requestId: string;
  readonly timeMs: number;
  readonly direction: Direction;
  readonly caller?: string;
  readonly claimed?: string;
  readonly callee: string;
  readonly method: string;
  readonly path: string;
  readonly kid?: string;
  readonly reason: Reason;
  readonly detail: string;
  readonly rule?: string;
  readonly expected?: string;
  readonly received?: string;
  readonly disposition: 'forwarded' | 'refused';
  readonly status: number;
}

/** A covered component and a short hash of its value, as sidecar/signature makes them. */
export interface ComponentHash {
  /** The identifier, such as `"@path"`. */
  readonly component: string;
  readonly hash: string;
}

/** What the caller's sidecar had signed of a call that the callee's sidecar answered with a problem of ours. */
export interface SignedEntry {
  readonly requestId: string;
  readonly timeMs: number;
  readonly callee: string;
  readonly method: string;
  readonly path: string;
  readonly kid?: string;
  /** The reason that the problem gave. */
  readonly reason: string;
  /** A short hash of each covered component's value, as signed. */
  readonly components: readonly ComponentHash[];
}

/** The newest entries of a kind, a fixed number of them. */
export class Ring<Entry> {
  readonly #capacity: number;
  readonly #entries: Entry[] = [];
  #next = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  push(entry: Entry): void {
    this.#entries[this.#next] = entry;
    this.#next = (this.#next + 1) % this.#capacity;
  }

  newestFirst(): Entry[] {
    return [...this.#entries.slice(0, this.#next).reverse(), ...this.#entries.slice(this.#next).reverse()];
  }
}

/** The ring's entry for a call that was denied or refused. */
export function denialEntry(
  call: CallRecord,
  claimed: string | undefined,
  reason: Reason,
  denial: Denial | { detail: string },
  timeMs: number,
): DenialEntry {
  const entry: Record<string, unknown> = {
    requestId: detach(call.requestId, 128),
    timeMs,
    direction: call.direction,
    callee: detach(call.callee),
    method: detach(call.method, 64),
    path: withoutTokens(detach(call.path)),
    reason,
    detail: withoutTokens(detachText(denial.detail)),
    disposition: call.disposition,
    status: call.status,
  };
  if (call.caller !== undefined) entry.caller = detach(call.caller);
  else if (claimed !== undefined) entry.claimed = detach(claimed, 64);
  if (call.kid !== undefined) entry.kid = detach(call.kid, 128);
  if ('reason' in denial) {
    if (denial.rule !== undefined) entry.rule = detachText(denial.rule);
    if (denial.expected !== undefined) entry.expected = withoutTokens(detachText(denial.expected));
    if (denial.received !== undefined) entry.received = withoutTokens(detachText(denial.received));
  }
  return entry as unknown as DenialEntry;
}
