/** An answer within so many milliseconds is quick, whatever is usual. */
const alwaysQuickMs = 20;
/** One that takes so many times the usual time is slow. */
const slowTimes = 4;
/** Where answers usually take longer than this, in milliseconds, none are quick. */
const longestUsualMs = 100;
/** A request waits behind others for at least so many milliseconds. */
const leastPatienceMs = 25;
/** Share of the latest answer in the usual time. */
const latestShare = 1 / 32;
/** So many quick answers more than it takes to make up for slow ones let the next ones be expected to be quick. */
const enough = 64;
const mostCredit = 2 * enough;
/** Quick answers that make up for a slow one. */
const slowCosts = 16;

/**
 * Whether a host answers steadily, so that a request that waits behind others waits for no longer than usual. What is
 * slow is measured by the host's own time: on a busy machine all answers take longer, and sharing connections, which
 * saves CPU, is worth most there.
 */
export class AnswerTimes {
  #usualMs: number | undefined = undefined;
  /** From 0 to `mostCredit`. */
  #credit = 0;

  get areSteady(): boolean {
    return this.#credit >= enough;
  }

  /** How long a request waits behind others, in milliseconds, before it is retried on its own connection. */
  get patienceMs(): number {
    return Math.max(leastPatienceMs, slowTimes * Math.min(this.#usualMs ?? 0, longestUsualMs));
  }

  /** An answer is complete. @param ms since its request came @param whole it came in one piece */
  onAnswer(ms: number, whole: boolean): void {
    if (!whole) {
      // Answers that stream would hold up others for as long as they like.
      this.#credit = 0;
      return;
    }
    const usual = this.#usualMs ?? ms;
    // A single answer that took minutes is no usual one.
    const counted = Math.min(ms, slowTimes * Math.max(usual, alwaysQuickMs));
    this.#usualMs = usual + (counted - usual) * latestShare;
    const isQuick = ms <= alwaysQuickMs || (usual <= longestUsualMs && ms <= slowTimes * usual);
    this.#credit = isQuick ? Math.min(mostCredit, this.#credit + 1) : Math.max(0, this.#credit - slowCosts);
  }

  /** A request had to be retried on its own connection. */
  onDelay(): void {
    this.#credit = 0;
  }
}
