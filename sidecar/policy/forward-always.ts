import type { Disposition, Verdict } from '../terms/verdict.ts';

const forward: Disposition = { forward: true };

/** The logging binary's disposition: the verdict is recorded, the call goes on. */
export function forwardAlways(_verdict: Verdict): Disposition {
  return forward;
}
