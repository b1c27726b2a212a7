import type { Fleet } from '../config/fleet.ts';
import type { SidecarConfig } from '../config/sidecar-config.ts';
import type { Keyring } from '../keyring/keyring.ts';
import type { Matrix } from '../policy/matrix.ts';
import type { Host } from '../swap/host.ts';
import type { ObservedDocument, StatusDocument } from '../telemetry/documents.ts';
import type { PeerProbe } from './probe-peer.ts';

/** Everything that was found out about one host. What is undefined could not be found out. */
export interface HostFacts {
  readonly nowMs: number;
  /** sidecar.yaml. */
  readonly configFile: string;
  /** What is wrong with the files, a line each; empty when a sidecar would start with them. */
  readonly fileFaults: readonly string[];
  readonly config: SidecarConfig | undefined;
  readonly fleet: Fleet | undefined;
  readonly matrix: Matrix | undefined;
  readonly keyring: Keyring | undefined;
  readonly modes: readonly FileMode[];
  readonly listeners: readonly ListenerFact[];
  readonly status: StatusDocument | undefined;
  readonly observed: ObservedDocument | undefined;
  /** Why there is no status. */
  readonly adminFault: string | undefined;
  readonly app: AppFact | undefined;
  /** What a call to an unknown service through outbound came to: `unknown-callee` from a sidecar. */
  readonly proxyAnswer: string | undefined;
  /** One for each host of each service that this one may call. */
  readonly peers: readonly PeerProbe[];
  readonly clock: 'synchronized' | 'unsynchronized' | undefined;
  /** Undefined where there is no systemd. */
  readonly units: Host | undefined;
  readonly guard: GuardFact | undefined;
  readonly disks: readonly DiskFact[];
}

export interface FileMode {
  readonly path: string;
  /** Only its owner may read a secret; only its owner may write the others. */
  readonly kind: 'secret' | 'shared';
  /** Permission bits; undefined when nothing is there. */
  readonly mode: number | undefined;
}

export interface ListenerFact {
  /** As in sidecar.yaml: `outbound`, `inbound`, `admin`, `route to NAME`. */
  readonly name: string;
  readonly address: string;
  /** `connected`, or the error code. */
  readonly answer: string;
}

export interface AppFact {
  readonly address: string;
  /** `connected`, or the error code. */
  readonly answer: string;
  /** Addresses beyond loopback on which something listens at its port. */
  readonly exposedOn: readonly string[];
}

export interface GuardFact {
  /** What its state file says of the swap to enforcing; undefined when it knows none. */
  readonly swappedAtMs: number | undefined;
  readonly lastRollback: { readonly atMs: number; readonly why: string } | undefined;
  readonly bakeMs: number | undefined;
}

export interface DiskFact {
  readonly path: string;
  readonly freeBytes: number;
  readonly totalBytes: number;
  readonly freeFiles: number;
  readonly totalFiles: number;
}
