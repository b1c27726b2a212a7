import { type Fleet, isKeyringOnly } from '../config/fleet.ts';
import type { Matrix } from '../policy/matrix.ts';
import type { HostState, StatusDocument } from '../telemetry/documents.ts';
import { loggedTime, requiredLoggingMs, staleness } from './evidence.ts';

/** One sidecar of the fleet, as far as the report could read it. */
export interface SidecarState {
  readonly service: string;
  readonly host: string;
  readonly from: string;
  readonly phase: string;
  readonly version: string;
  readonly build: string;
  /** Whether it is one of those that are to be swapped to enforcing. */
  readonly to_swap: boolean;
  /** Seconds of the last seven days during which it ran and recorded in the logging phase. */
  readonly logging_seconds: number;
  /** Since when the required time was logged; absent when it was not. */
  readonly evidence_since?: string;
  /** Since when what it has observed is counted. */
  readonly since: string;
  readonly matrix_loaded: boolean;
  readonly fleet_loaded: boolean;
  readonly ready: boolean;
}

/** What the sidecars are held against. */
export interface Expected {
  readonly fleet: Fleet;
  readonly matrix: Matrix;
  /** Hosts whose sidecars are to be swapped; undefined for all. The others may enforce already. */
  readonly hosts: ReadonlySet<string> | undefined;
  readonly nowMs: number;
}

/** The sidecars that were read, and why they, or those that were not, stand in the way of enforcing. */
export function sidecarStates(
  states: readonly HostState[],
  expected: Expected,
): { sidecars: SidecarState[]; blockers: string[] } {
  const blockers: string[] = [];
  const sidecars: SidecarState[] = [];
  for (const state of states) {
    const { from, status, observed, problem } = state;
    if (problem !== undefined) {
      blockers.push(`${from} could not be read: ${problem}`);
      if (status === undefined) continue;
    } else if (status === undefined || observed === undefined) {
      const missing = [status === undefined ? 'status' : '', observed === undefined ? 'observed' : ''];
      blockers.push(`${from}: found no ${missing.filter(Boolean).join(' and no ')}; the report needs both`);
      if (status === undefined) continue;
    }
    const sidecar = describe(state, status, expected);
    sidecars.push(sidecar);
    blockers.push(...inTheWay(sidecar, state, expected));
  }
  for (const { name, hosts } of expected.fleet.services.values()) {
    if (isKeyringOnly(expected.fleet, name)) continue;
    for (const host of hosts)
      if (!states.some((state) => isOf(state, name, host)))
        blockers.push(`no sidecar of ${name} on ${host} was read; name it with --from`);
  }
  return { sidecars, blockers };
}

/** Whether a state is that of one sidecar, or tells why there is none. */
function isOf({ status, target }: HostState, service: string, host: string): boolean {
  const whose = status ?? target;
  return whose?.service === service && whose.host === host;
}

function describe(
  { from, observed }: HostState,
  status: StatusDocument,
  { fleet, matrix, hosts, nowMs }: Expected,
): SidecarState {
  const { ms, sinceMs } = observed === undefined ? { ms: 0, sinceMs: undefined } : loggedTime(observed);
  return {
    service: status.service,
    host: status.host,
    from,
    to_swap: hosts?.has(status.host) ?? true,
    phase: status.phase,
    version: status.version,
    build: status.build,
    logging_seconds: ms / 1000,
    ...(sinceMs !== undefined && { evidence_since: new Date(sinceMs).toISOString() }),
    since: observed?.since ?? new Date(nowMs).toISOString(),
    matrix_loaded: status.matrix === matrix.hash,
    fleet_loaded: status.fleet === fleet.hash,
    ready: status.ready,
  };
}

function inTheWay(
  sidecar: SidecarState,
  { status, observed }: HostState,
  { fleet, nowMs }: Expected,
): string[] {
  const name = `${sidecar.service} on ${sidecar.host}`;
  const blockers: string[] = [];
  const known = fleet.services.get(sidecar.service)?.hosts.includes(sidecar.host);
  if (known !== true) blockers.push(`${name} is not in fleet.yaml`);
  const stale = [
    staleness('status', status?.gathered_at, nowMs),
    observed === undefined ? undefined : staleness('observed', observed.gathered_at, nowMs),
  ];
  blockers.push(...stale.filter((each) => each !== undefined).map((each) => `${name}: ${each}`));
  if (!sidecar.ready) blockers.push(`${name} is not ready`);
  if (!sidecar.matrix_loaded)
    blockers.push(`${name} runs another authorization.yaml than this one; deploy it, then report again`);
  if (!sidecar.fleet_loaded)
    blockers.push(`${name} runs another fleet.yaml than this one; deploy it, then report again`);
  if (observed !== undefined && status !== undefined && observed.phase !== status.phase)
    blockers.push(
      `${name}: its status is of the ${status.phase} phase, its observed of the ${observed.phase} phase; gather both again`,
    );
  if (!sidecar.to_swap) return blockers;
  if (sidecar.phase !== 'logging')
    blockers.push(
      `${name} runs the ${sidecar.phase} binary; only a sidecar that logs can be reported ready (--only HOST leaves out hosts that enforce already)`,
    );
  else if (sidecar.logging_seconds * 1000 < requiredLoggingMs)
    blockers.push(
      `${name} has logged for ${hours(sidecar.logging_seconds)} of the last seven days; ${hours(requiredLoggingMs / 1000)} are required`,
    );
  return blockers;
}

/** Seconds as a person would say them: `36 s`, `25.0 h`. */
export function hours(seconds: number): string {
  if (seconds < 120) return `${Math.floor(seconds)} s`;
  if (seconds < 7200) return `${(seconds / 60).toFixed(1)} min`;
  return `${(Math.floor(seconds / 360) / 10).toFixed(1)} h`;
}
