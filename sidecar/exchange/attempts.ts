import type { Destination, Loss } from './ends.ts';

/** Where a request has been sent so far. */
export type Attempts =
  /** No host that it was sent to could be connected to. */
  | { readonly kind: 'choosing'; readonly tried: readonly Destination[] }
  /** A host had it once and did not answer: it was sent there once more. */
  | { readonly kind: 'resent' };

export const noAttempt: Attempts = { kind: 'choosing', tried: [] };

const resent: Attempts = { kind: 'resent' };

/** What is to be done about a request that was lost. */
export type NextStep =
  | { readonly step: 'choose-again'; readonly attempts: Attempts }
  /** The same request, with the same signature, to the same host on a new connection. */
  | { readonly step: 'resend'; readonly attempts: Attempts }
  /** The request signed again. */
  | { readonly step: 'sign-again' }
  /** Nothing was sent: what may be sent to the host is to be asked again. */
  | { readonly step: 'prepare-again' }
  | { readonly step: 'give-up' };

const resend: NextStep = { step: 'resend', attempts: resent };
const signAgain: NextStep = { step: 'sign-again' };
const prepareAgain: NextStep = { step: 'prepare-again' };
const giveUp: NextStep = { step: 'give-up' };

/**
 * Decides about a request that was lost.
 *
 * @param mayResend whether it is at hand as a whole, and a second arrival would do no harm
 */
export function afterLoss(
  attempts: Attempts,
  destination: Destination,
  loss: Loss,
  mayResend: (reused: boolean) => boolean,
): NextStep {
  switch (loss.kind) {
    case 'displaced':
      return signAgain;
    case 'unproven':
      if (attempts.kind === 'choosing') return prepareAgain;
      // What was sent for a sealed connection leaves on no other kind.
      return destination.unproven === undefined ? { step: 'resend', attempts } : giveUp;
    case 'unreachable':
      if (attempts.kind === 'resent') return giveUp;
      return {
        step: 'choose-again',
        attempts: { kind: 'choosing', tried: [...attempts.tried, destination] },
      };
    case 'unanswered':
      return attempts.kind === 'choosing' && mayResend(loss.reused) ? resend : giveUp;
    default:
      return giveUp;
  }
}

/**
 * The less busy of two destinations drawn at random, of those that can be connected to; when all are set aside, any.
 *
 * @param tried destinations not to use again
 * @param random as Math.random
 * @returns undefined when every destination has been tried
 */
export function choose(
  destinations: readonly Destination[],
  tried: readonly Destination[],
  random: () => number,
): Destination | undefined {
  if (destinations.length === 1) return tried.length > 0 ? undefined : destinations[0];
  const untried = destinations.filter((one) => !tried.includes(one));
  const ready = untried.filter((one) => one.isReady);
  const eligible = ready.length > 0 ? ready : untried;
  if (eligible.length <= 1) return eligible[0];
  const first = Math.floor(random() * eligible.length);
  const second = (first + 1 + Math.floor(random() * (eligible.length - 1))) % eligible.length;
  const one = eligible[first]!;
  const other = eligible[second]!;
  return other.inFlight < one.inFlight ? other : one;
}
