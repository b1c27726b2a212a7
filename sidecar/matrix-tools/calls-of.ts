import type { ObservedCall } from '../policy/observed-call.ts';
import { pathTemplate } from '../policy/path-template.ts';
import type { HostState } from '../telemetry/documents.ts';

/** The calls that came in to a sidecar, by its observations, or by its denials where there are none (a log). */
export function callsOf({ observed, denials }: HostState): ObservedCall[] {
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
