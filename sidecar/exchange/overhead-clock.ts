/**
 * Counts how long a call was in this sidecar's hands, as opposed to waiting for one of its ends. It runs from the read head
 * of the request until that is handed to the connection to the callee, and from the head of the response until that is
 * handed to the caller; a wait for the rest of a body that is proven as a whole stops it. All times are monotonic milliseconds.
 */
export class OverheadClock {
  /** NaN while it stands. */
  #sinceMs: number;
  #countedMs = 0;

  constructor(nowMs: number) {
    this.#sinceMs = nowMs;
  }

  /** What follows is the sidecar's work; no effect while it runs. */
  start(nowMs: number): void {
    if (Number.isNaN(this.#sinceMs)) this.#sinceMs = nowMs;
  }

  /** What follows is a wait for one of the ends; no effect while it stands. */
  stop(nowMs: number): void {
    if (Number.isNaN(this.#sinceMs)) return;
    this.#countedMs += nowMs - this.#sinceMs;
    this.#sinceMs = Number.NaN;
  }

  totalMs(nowMs: number): number {
    return Number.isNaN(this.#sinceMs) ? this.#countedMs : this.#countedMs + nowMs - this.#sinceMs;
  }
}
