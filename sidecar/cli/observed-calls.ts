import { readFrom } from '../fleet-reader/from.ts';
import type { ObservedCall } from '../policy/observed-call.ts';
import { pathTemplate } from '../policy/path-template.ts';
import type { HostState } from '../telemetry/documents.ts';

/**
 * The calls that came in to the sidecars read, by their observations, or by their denials where there are none (a
 * log). What went out of a sidecar is left to the callee's: only there has a MAC proved the caller.
 *
 * @throws {import('../fleet-reader/from.ts').FromError}
 */
export async function readObservedCalls(from: readonly string[] | undefined): Promise<ObservedCall[]> {
  return (await readFrom(from, ['observed'])).flatMap(callsOf);
}

function callsOf({ observed, denials }: HostState): ObservedCall[] {
  if (observed !== undefined) {
    return observed.observations
      .filter(({ direction }) => direction === 'inbound')
      .map(({ caller, callee, method, path, example, reason, count, last }) => ({
        caller,
        callee,
        method,
        template: path,
        example: example ?? path,
        reason,
        count,
        last,
      }));
  }
  return (denials?.denials ?? [])
    .filter(({ direction }) => direction === 'inbound')
    .map(({ caller, callee, method, path, reason, time }) => ({
      caller,
      callee,
      method,
      template: pathTemplate(path),
      example: path,
      reason,
      count: 1,
      last: time,
    }));
}
