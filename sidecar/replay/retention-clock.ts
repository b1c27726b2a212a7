/** How long the wall clock must have been ahead before the clock of retention follows it, in seconds. */
const followAfterSeconds = 660;

/**
 * The clock by which nonces are forgotten: monotonic, anchored to the wall clock at start. A wall clock that steps
 * forward and back again makes nobody forget too early: this clock follows it backwards at once, forwards only when it has
 * stayed ahead for longer than any nonce must be kept.
 */
export class RetentionClock {
  /** Seconds from the monotonic clock to ours. */
  #offset: number;
  /** The smallest distance seen since `#since`: where the anchor goes next. */
  #least: number;
  #since: number;

  /** @param wallMs milliseconds since the epoch @param monotonicMs of a clock that never steps */
  constructor(wallMs: number, monotonicMs: number) {
    this.#offset = this.#least = (wallMs - monotonicMs) / 1000;
    this.#since = monotonicMs / 1000;
  }

  /** Seconds since the epoch, as far as forgetting goes. */
  read(wallMs: number, monotonicMs: number): number {
    const monotonic = monotonicMs / 1000;
    const distance = wallMs / 1000 - monotonic;
    this.#least = Math.min(this.#least, distance);
    this.#offset = Math.min(this.#offset, distance);
    if (monotonic - this.#since >= followAfterSeconds) {
      this.#offset = this.#least;
      this.#least = distance;
      this.#since = monotonic;
    }
    return Math.floor(monotonic + this.#offset);
  }
}
