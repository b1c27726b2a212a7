/** How long a body is watched at a time, in milliseconds. */
const windowMs = 10_000;
/** Bytes that must arrive in each window: 1 KiB/s. */
const leastBytes = 1024 * (windowMs / 1000);

/**
 * Whether the body of a peer that has proven nothing arrives fast enough: 1 KiB/s in each ten seconds. A single mean
 * would let one fast burst pay for minutes of a byte now and then.
 */
export class BodyPace {
  #bytes = 0;
  #endsAtMs: number;

  /** @param nowMs monotonic milliseconds, as below */
  constructor(nowMs: number) {
    this.#endsAtMs = nowMs + windowMs;
  }

  /** When it has to be looked at next. */
  get endsAtMs(): number {
    return this.#endsAtMs;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
  }

  /** Nothing was read for a while because the app took nothing: that time is not the peer's. */
  restart(nowMs: number): void {
    this.#bytes = 0;
    this.#endsAtMs = nowMs + windowMs;
  }

  /** Whether the body is too slow; begins the next window when this one is over. */
  isTooSlow(nowMs: number): boolean {
    if (nowMs < this.#endsAtMs) return false;
    if (this.#bytes < leastBytes) return true;
    this.restart(nowMs);
    return false;
  }
}
