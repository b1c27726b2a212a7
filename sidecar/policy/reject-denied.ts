import type { Disposition, Verdict } from '../terms/verdict.ts';

const forward: Disposition = { forward: true };

/** The enforcing binary's disposition: a denied call ends here. */
export function rejectDenied(verdict: Verdict): Disposition {
  return verdict.allowed ? forward : { forward: false, denial: verdict.denial };
}
