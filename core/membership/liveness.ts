import type { CoreBeat } from '../store/member-store.ts';

interface Observed {
  beat: number;
  silentMs: number;
}

/**
 * Judges from their beats which core services are dead: those whose count has stood still for the lease. Pure. Clocks are not
 * compared, and time counts only while the database answers: a server that hangs for a minute kills nobody.
 */
export class Liveness {
  readonly #leaseMs: number;
  readonly #maxStepMs: number;
  readonly #observed = new Map<string, Observed>();

  /**
   * @param leaseMs how long a count may stand still
   * @param maxStepMs what one step adds at most, however long ago the one before was
   */
  constructor(leaseMs: number, maxStepMs: number) {
    this.#leaseMs = leaseMs;
    this.#maxStepMs = maxStepMs;
  }

  /**
   * Takes in what was read of the others.
   *
   * @param elapsedMs since the last time
   * @returns the dead
   */
  observe(cores: readonly CoreBeat[], elapsedMs: number): CoreBeat[] {
    const step = Math.min(elapsedMs, this.#maxStepMs);
    const listed = new Set(cores.map(({ coreId }) => coreId));
    for (const coreId of this.#observed.keys()) if (!listed.has(coreId)) this.#observed.delete(coreId);
    return cores.filter(({ coreId, beat }) => {
      const observed = this.#observed.get(coreId);
      if (observed?.beat !== beat) {
        this.#observed.set(coreId, { beat, silentMs: 0 });
        return false;
      }
      observed.silentMs += step;
      return observed.silentMs >= this.#leaseMs;
    });
  }
}
