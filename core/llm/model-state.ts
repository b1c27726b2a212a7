/** So many failures in a row make a model cool down. */
const failuresBefore = 3;
const coolDownMs = { first: 10_000, longest: 120_000 };

/**
 * How one model does. `cooling` until a time: nobody asks it as long as another model can answer; the first call after that
 * shows whether it works again.
 */
export type ModelState =
  | { readonly kind: 'working'; readonly failures: number }
  | { readonly kind: 'cooling'; readonly untilMs: number; readonly lastMs: number; readonly reason: string };

export const working: ModelState = { kind: 'working', failures: 0 };

/** A call failed. @param retryAfterMs what the model asked to wait, which holds at once */
export function afterFailure(
  state: ModelState,
  failure: { readonly nowMs: number; readonly retryAfterMs: number | undefined; readonly reason: string },
): ModelState {
  const { nowMs, retryAfterMs, reason } = failure;
  if (retryAfterMs !== undefined && retryAfterMs > 0) {
    const lastMs = Math.min(coolDownMs.longest, retryAfterMs);
    return { kind: 'cooling', untilMs: nowMs + lastMs, lastMs, reason };
  }
  if (state.kind === 'cooling') {
    // Calls from before the cool-down that fail in it say nothing new.
    if (nowMs < state.untilMs) return state;
    const lastMs = Math.min(coolDownMs.longest, 2 * state.lastMs);
    return { kind: 'cooling', untilMs: nowMs + lastMs, lastMs, reason };
  }
  const failures = state.failures + 1;
  if (failures < failuresBefore) return { kind: 'working', failures };
  return { kind: 'cooling', untilMs: nowMs + coolDownMs.first, lastMs: coolDownMs.first, reason };
}

export function isCooling(state: ModelState, nowMs: number): boolean {
  return state.kind === 'cooling' && nowMs < state.untilMs;
}
