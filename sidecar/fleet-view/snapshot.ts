import type { HostState } from '../telemetry/documents.ts';

/** What the sidecars of a fleet said at one time. */
export interface FleetSnapshot {
  /** Milliseconds since the epoch, by the clock of the reader. */
  readonly takenAtMs: number;
  /** Those that could not be read too, with `problem`. */
  readonly hosts: readonly HostState[];
}

/** The snapshot's entry for the same sidecar. */
export function sameHost(snapshot: FleetSnapshot | undefined, state: HostState): HostState | undefined {
  const { service, host } = nameOf(state);
  return snapshot?.hosts.find((other) => {
    const name = nameOf(other);
    return service === undefined ? other.from === state.from : name.service === service && name.host === host;
  });
}

/** Whose state it is: as the sidecar says, or as it was looked for; undefined for what neither tells. */
export function nameOf({ status, target }: HostState): { service?: string; host?: string } {
  return status ?? target ?? {};
}
