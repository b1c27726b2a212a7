import type { Dialect, Identity } from '../load/signer.ts';

/** What a peer is started with. */
export interface Place {
  /** An empty folder of its own. */
  readonly folder: string;
  /** Port of the app on 127.0.0.1. */
  readonly app: number;
  /** Cores for it, as taskset names them; undefined where there are none to choose. */
  readonly cores: string | undefined;
  readonly identity: Identity;
}

export interface RunningPeer {
  /** On 127.0.0.1. */
  readonly port: number;
  readonly pids: readonly number[];
  stop(): Promise<void>;
}

/** Something that can stand between caller and app. */
export interface Peer {
  readonly id: string;
  readonly title: string;
  /** How it is configured, where it is measured in several ways: of those with one title the tables show the best. */
  readonly variant?: string;
  readonly dialect: Dialect;
  /** Whether it checks who calls; else it lets everything through. */
  readonly checks: boolean;
  /** Whether it is one of ours. */
  readonly ours?: boolean;
  /** What it cannot do as ours does, if anything. */
  readonly note?: string;
  /** Whether its program is one of Debian's unstable suite. @see debian.ts */
  readonly unstable?: boolean;
  /** Its version, from the program itself. */
  version(): string;
  start(place: Place): Promise<RunningPeer>;
}
