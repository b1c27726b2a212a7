import type { Phase } from '../telemetry/documents.ts';

/** Which sidecar serves: a phase of a version. */
export interface Choice {
  readonly phase: Phase;
  /** As in `/opt/countersign/VERSION`; `unversioned` for the units of 0.1, which named no version. */
  readonly version: string;
}

export const unversioned = 'unversioned';

/** A service of systemd, as far as a swap cares. */
export interface Unit {
  readonly name: string;
  readonly state: 'stopped' | 'failed' | 'starting' | 'running' | 'stopping';
  /** Whether it is started at boot. */
  readonly boots: boolean;
}

export interface SidecarUnit extends Unit {
  readonly choice: Choice;
  /** Of its process; 0 for none. */
  readonly pid: number;
  /** Whether its process holds the state lock or waits for it: its configuration is read by then. */
  readonly atLock: boolean;
}

export interface GuardUnit extends Unit {
  readonly version: string;
  /** Whether the guard of this version has its configuration, and a gate file to go by. */
  readonly configured: boolean;
}

/** What a host looks like at one moment. Every decision of a swap is made from this alone. */
export interface Host {
  /** Sidecars whose executable and configuration are both there. */
  readonly installed: readonly Choice[];
  readonly sockets: { readonly listen: boolean; readonly boot: boolean };
  readonly sidecars: readonly SidecarUnit[];
  readonly guards: readonly GuardUnit[];
  /** What `/status` says, or undefined when nothing answers. */
  readonly serving: (Choice & { readonly ready: boolean }) | undefined;
  /** Where `/status` was asked for: `127.0.0.1:15000` or `unix:PATH`. */
  readonly admin: string;
  /** The version that the link `/opt/countersign/current` names: the one that serves. */
  readonly current: string | undefined;
  /** The version that served before `current`. */
  readonly previous: string | undefined;
}

export function isSame(a: Choice, b: Choice): boolean {
  return a.phase === b.phase && a.version === b.version;
}

export function isInstalled(host: Host, choice: Choice): boolean {
  return host.installed.some((one) => isSame(one, choice));
}

/** `logging@0.2.0`, as it stands in unit names and on the command line. */
export function nameOf({ phase, version }: Choice): string {
  return `${phase}@${version}`;
}

/** Whether the unit has a process, or will have one without being asked. */
export function isUp({ state }: Unit): boolean {
  return state === 'running' || state === 'starting';
}

/** Whether nothing is left of the unit's process. */
export function isGone({ state }: Unit): boolean {
  return state === 'stopped' || state === 'failed';
}

/**
 * The sidecar that the host goes back to when enforcing breaks calls: logging, of the same version.
 *
 * @returns undefined when the host enforces and that sidecar is not installed; `none` when the host does not enforce
 */
export function wayBack(host: Host): Choice | 'none' | undefined {
  const enforcing = host.sidecars.find(
    (unit) => unit.choice.phase === 'enforcing' && (unit.boots || isUp(unit)),
  );
  if (enforcing === undefined) return 'none';
  const version = enforcing.choice.version === unversioned ? (host.current ?? '') : enforcing.choice.version;
  const back: Choice = { phase: 'logging', version };
  return isInstalled(host, back) ? back : undefined;
}
