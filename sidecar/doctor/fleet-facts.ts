import type { Fleet } from '../config/fleet.ts';
import type { Matrix } from '../policy/matrix.ts';
import type { AppPort } from '../readiness/assess.ts';
import type { HostState } from '../telemetry/documents.ts';
import type { PeerProbe } from './probe-peer.ts';

/** Everything that was found out about a fleet, from one place. What is undefined could not be found out. */
export interface FleetFacts {
  readonly nowMs: number;
  /** What is wrong with the files, a line each. */
  readonly fileFaults: readonly string[];
  readonly fleet: Fleet | undefined;
  readonly matrix: Matrix | undefined;
  /** What the sidecars say of themselves. */
  readonly states: readonly HostState[];
  /** Sources that could not be read, and why. */
  readonly unread: readonly { readonly from: string; readonly why: string }[];
  readonly appPorts: readonly AppPort[];
  /** Undefined without a keyring to probe with. */
  readonly peers: readonly PeerProbe[] | undefined;
}
