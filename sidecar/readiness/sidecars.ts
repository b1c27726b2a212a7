import type { Fleet } from '../config/fleet.ts';
import type { Matrix } from '../policy/matrix.ts';
import type { HostState, StatusDocument } from '../telemetry/documents.ts';

/** One sidecar of the fleet, as far as the report could read it. */
export interface SidecarState {
  readonly service: string;
  readonly host: string;
  readonly from: string;
  readonly phase: string;
  readonly version: string;
  readonly build: string;
  /** Seconds during which it ran and recorded in the logging phase. */
  readonly logging_seconds: number;
  /** Since when what it has observed is counted. */
  readonly since: string;
  readonly matrix_loaded: boolean;
  readonly fleet_loaded: boolean;
  readonly ready: boolean;
}

/** The sidecars that were read, and why they, or those that were not, stand in the way of enforcing. */
export function sidecarStates(
  states: readonly HostState[],
  fleet: Fleet,
  matrix: Matrix,
  minLoggingMs: number,
  nowMs: number,
): { sidecars: SidecarState[]; blockers: string[] } {
  const blockers: string[] = [];
  const sidecars: SidecarState[] = [];
  for (const state of states) {
    const { from, status, observed } = state;
    if (status === undefined || observed === undefined) {
      const missing = [status === undefined ? 'status' : '', observed === undefined ? 'observed' : ''];
      blockers.push(`${from}: found no ${missing.filter(Boolean).join(' and no ')}; the report needs both`);
      if (status === undefined) continue;
    }
    const sidecar = describe(state, status, fleet, matrix, nowMs);
    sidecars.push(sidecar);
    blockers.push(...inTheWay(sidecar, fleet, minLoggingMs));
  }
  for (const { name, hosts } of fleet.services.values()) {
    for (const host of hosts)
      if (!sidecars.some((each) => each.service === name && each.host === host))
        blockers.push(`no sidecar of ${name} on ${host} was read; name it with --from`);
  }
  return { sidecars, blockers };
}

function describe(
  { from, observed }: HostState,
  status: StatusDocument,
  fleet: Fleet,
  matrix: Matrix,
  nowMs: number,
): SidecarState {
  const sinceMs = observed === undefined ? nowMs : Date.parse(observed.since);
  const elapsed = observed?.phase === 'logging' ? Math.max(0, (nowMs - sinceMs) / 1000) : 0;
  return {
    service: status.service,
    host: status.host,
    from,
    phase: status.phase,
    version: status.version,
    build: status.build,
    logging_seconds: observed?.recorded_seconds?.logging ?? elapsed,
    since: observed?.since ?? new Date(nowMs).toISOString(),
    matrix_loaded: status.matrix === matrix.hash,
    fleet_loaded: status.fleet === fleet.hash,
    ready: status.ready,
  };
}

function inTheWay(sidecar: SidecarState, fleet: Fleet, minLoggingMs: number): string[] {
  const name = `${sidecar.service} on ${sidecar.host}`;
  const blockers: string[] = [];
  const known = fleet.services.get(sidecar.service)?.hosts.includes(sidecar.host);
  if (known !== true) blockers.push(`${name} is not in fleet.yaml`);
  if (!sidecar.ready) blockers.push(`${name} is not ready`);
  if (!sidecar.matrix_loaded)
    blockers.push(`${name} runs another authorization.yaml than this one; deploy it, then report again`);
  if (!sidecar.fleet_loaded)
    blockers.push(`${name} runs another fleet.yaml than this one; deploy it, then report again`);
  if (sidecar.phase === 'logging' && sidecar.logging_seconds * 1000 < minLoggingMs)
    blockers.push(
      `${name} has logged for ${hours(sidecar.logging_seconds)}; ${hours(minLoggingMs / 1000)} are wanted`,
    );
  return blockers;
}

/** Seconds as a person would say them: `36 s`, `25.0 h`. */
export function hours(seconds: number): string {
  if (seconds < 120) return `${Math.floor(seconds)} s`;
  if (seconds < 7200) return `${(seconds / 60).toFixed(1)} min`;
  return `${(Math.floor(seconds / 360) / 10).toFixed(1)} h`;
}
