import { assess, type Readiness } from '../readiness/assess.ts';
import type { Reading } from './fleet-watch.ts';

/** What is listed of permits that nobody used; `countersign report --json` has them all. */
const mostPermits = 500;

const known = new WeakMap<Reading, Readiness>();

/** The report of `countersign report --json`; hosts that enforce already are left out of what is to be swapped. */
export function readinessOf(reading: Reading): Readiness {
  const found = known.get(reading);
  if (found !== undefined) return found;
  const { current, policy, appPorts } = reading;
  const { takenAtMs } = current;
  // One that was not read is told of as missing, once.
  const states = current.hosts.filter(({ status }) => status !== undefined);
  const of = (phase: string) =>
    new Set(states.flatMap(({ status }) => (status?.phase === phase ? [status.host] : [])));
  const readiness = assess({
    states,
    fleet: policy.fleet,
    matrix: policy.matrix,
    intended: [],
    appPorts,
    hosts: of('enforcing').size === 0 ? undefined : of('logging'),
    nowMs: takenAtMs,
  });
  known.set(reading, readiness);
  return readiness;
}

/** Page 5: the report, bounded. */
export function readinessPage(reading: Reading): Readiness & { readonly permits_never_seen: number } {
  const readiness = readinessOf(reading);
  const { never_seen } = readiness;
  return {
    ...readiness,
    never_seen: { ...never_seen, permits: never_seen.permits.slice(0, mostPermits) },
    permits_never_seen: never_seen.permits.length,
  };
}
