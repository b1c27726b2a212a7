import type { Fleet } from '../config/fleet.ts';
import type { OpenedMatrix } from '../matrix-tools/open-matrix.ts';
import type { AppPort } from '../readiness/assess.ts';
import type { HostState } from '../telemetry/documents.ts';

/** The files of a fleet. */
export interface Policy extends OpenedMatrix {
  readonly fleet: Fleet;
}

/** Where the console gets what it shows; the command line says how a fleet is read. */
export interface Sources {
  /** Every sidecar of the fleet; those that could not be read with `problem`. */
  readHosts(signal: AbortSignal): Promise<readonly HostState[]>;
  /** The same object for as long as the files have not changed. */
  openPolicy(): Promise<Policy>;
  /** Whether apps can be reached past their sidecars. */
  probeAppPorts(fleet: Fleet, states: readonly HostState[]): Promise<readonly AppPort[]>;
  /** `/metrics` of one sidecar as it is; undefined when there is no such host. */
  readMetrics(service: string, host: string): Promise<string | undefined>;
}
