import type { ApplyVerdict, Denial, Verdict } from './verdict.ts';

/**
 * The right to pass one call on. Sending demands it, and it is made here only: where the binary's one composed
 * function has acted on the verdict of that call.
 */
export class Permit {
  readonly #verdict: Verdict;

  private constructor(verdict: Verdict) {
    this.#verdict = verdict;
  }

  /** What it was given for. */
  get verdict(): Verdict {
    return this.#verdict;
  }

  /** Asks the binary's function what becomes of a call: a permit, or the denial to refuse it with. */
  static ask(applyVerdict: ApplyVerdict, verdict: Verdict): Permit | Denial {
    const disposition = applyVerdict(verdict);
    return disposition.forward ? new Permit(verdict) : disposition.denial;
  }
}
