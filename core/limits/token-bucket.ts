const minuteMs = 60_000;

/** So many per minute, with bursts of as many. Pure: the time is passed in. */
export class TokenBucket {
  readonly #perMinute: number;
  #left: number;
  #at: number;

  /** @param now milliseconds of a clock that never steps */
  constructor(perMinute: number, now: number) {
    this.#perMinute = perMinute;
    this.#left = perMinute;
    this.#at = now;
  }

  /** Milliseconds until a whole one is left; 0 when there is. */
  waitMs(now: number): number {
    this.#refill(now);
    if (this.#left >= 1) return 0;
    return Math.ceil(((1 - this.#left) / this.#perMinute) * minuteMs);
  }

  /** Takes an amount, which may be more than is left: what comes after it waits. */
  take(amount: number, now: number): void {
    this.#refill(now);
    this.#left -= amount;
  }

  #refill(now: number): void {
    this.#left = Math.min(this.#perMinute, this.#left + ((now - this.#at) / minuteMs) * this.#perMinute);
    this.#at = now;
  }
}
