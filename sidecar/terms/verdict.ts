import type { DenialReason } from './reasons.ts';

/** Why a call is denied, in the words that an operator needs to mend it. */
export interface Denial {
  readonly reason: DenialReason;
  /** One sentence: what was found, what was expected, what to do. */
  readonly detail: string;
  /** The nearest rule of the matrix, or the rule that would have allowed the call. */
  readonly rule?: string;
  /** What the check expected, and what it received: the field that differs, in comparable form. */
  readonly expected?: string;
  readonly received?: string;
}

/**
 * The outcome of the check of one call: a value, recorded before anybody acts on it.
 *
 * `caller` is set only when the MAC proved it; what an unproven call says of itself is `claimed`.
 */
export type Verdict =
  | { readonly allowed: true; readonly caller?: string; readonly kid?: string; readonly rule: string }
  | {
      readonly allowed: false;
      readonly denial: Denial;
      readonly caller?: string;
      readonly kid?: string;
      readonly claimed?: string;
    };

/** What a sidecar does with a call. To act on it takes a `Permit`. */
export type Disposition = { readonly forward: true } | { readonly forward: false; readonly denial: Denial };

/** The one function in which the logging and the enforcing binary differ. */
export type ApplyVerdict = (verdict: Verdict) => Disposition;
