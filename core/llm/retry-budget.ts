/** What each call adds to the budget, in retries: at most every fifth call is repeated for long. */
const earned = 0.2;
const limit = 10;

/** Limits retries to a share of the calls, so that a model that is overloaded is not loaded even more. Pure. */
export class RetryBudget {
  #retries = limit;

  /** Counts one call. */
  earn(): void {
    this.#retries = Math.min(limit, this.#retries + earned);
  }

  /** Takes one retry; false when there is none left. */
  take(): boolean {
    if (this.#retries < 1) return false;
    this.#retries--;
    return true;
  }
}
