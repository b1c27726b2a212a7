import { callsOf } from '../matrix-tools/calls-of.ts';
import type { ObservedCall } from '../policy/observed-call.ts';
import { type FleetSources, readFleet } from './fleet-sources.ts';

/**
 * The calls that came in to the sidecars read, by their observations, or by their denials where there are none (a
 * log). What went out of a sidecar is left to the callee's: only there has a MAC proved the caller.
 *
 * @throws {import('../fleet-reader/from.ts').FromError}
 */
export async function readObservedCalls(sources: FleetSources): Promise<ObservedCall[]> {
  return (await readFleet(sources, ['observed'])).flatMap(callsOf);
}
