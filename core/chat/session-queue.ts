/** Lets one turn of a session run at a time, in the order in which they came. Sessions do not wait for each other. */
export class SessionQueue {
  /** The end of the last turn in line, for each session that has one. */
  readonly #tails = new Map<string, Promise<void>>();

  /**
   * Waits for the turns before.
   *
   * @returns ends this turn, so that the next may begin; calling it again does nothing
   * @throws the signal's reason when it is aborted while waiting
   */
  async enter(session: string, signal: AbortSignal): Promise<() => void> {
    const before = this.#tails.get(session);
    let end = () => {};
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    // Whoever gives up waiting still keeps the order of those before and behind it.
    const tail = (before ?? Promise.resolve()).then(() => ended);
    this.#tails.set(session, tail);
    void tail.then(() => {
      if (this.#tails.get(session) === tail) this.#tails.delete(session);
    });
    if (before !== undefined) {
      try {
        await abortable(before, signal);
      } catch (error) {
        end();
        throw error;
      }
    }
    return end;
  }

  /** Resolves when no turn runs or waits. */
  async whenIdle(): Promise<void> {
    while (this.#tails.size > 0) await Promise.all(this.#tails.values());
  }
}

function abortable(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error);
    const abort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', abort, { once: true });
    void promise.then(() => {
      signal.removeEventListener('abort', abort);
      resolve();
    });
  });
}
