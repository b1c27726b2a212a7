import type { Reason } from './reasons.ts';

/** Why a call ends here: what its caller is told, and what is recorded. */
export interface Refusal {
  readonly reason: Reason;
  /** One sentence: what was found, what was expected, what to do. */
  readonly detail: string;
}
