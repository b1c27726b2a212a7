import type { Fleet } from '../config/fleet.ts';
import type { Matrix } from '../policy/matrix.ts';
import type { HostState } from '../telemetry/documents.ts';
import { requiredLoggingMs } from './evidence.ts';
import { hopBlocker, type PairHop, pairHops } from './hops.ts';
import type { Intended } from './intended.ts';
import { keysInPlace, type PairKeys } from './keys-in-place.ts';
import {
  inboundRows,
  type NeverSeen,
  neverSeen,
  type PairCalls,
  type PairSkew,
  pairCalls,
  pairSkew,
} from './pairs.ts';
import { type Refusals, replay } from './refusals.ts';
import { hours, type SidecarState, sidecarStates } from './sidecars.ts';

/** Skew past which the report warns: a fifth of the window. */
const warnSkewSeconds = 60;

/** The port of an app, and whether anything but loopback reaches it. */
export interface AppPort {
  readonly service: string;
  readonly host: string;
  readonly port: number;
  readonly open: boolean;
  /** How that was found out. */
  readonly how: string;
}

export interface ReadinessInput {
  readonly states: readonly HostState[];
  readonly fleet: Fleet;
  /** The matrix that is to be enforced. */
  readonly matrix: Matrix;
  readonly intended: readonly Intended[];
  readonly appPorts: readonly AppPort[];
  /** The hosts that are to be swapped; undefined for all. */
  readonly hosts?: ReadonlySet<string> | undefined;
  readonly nowMs: number;
}

/** Whether a fleet can start to enforce, and all that speaks for and against it. */
export interface Readiness {
  readonly ready: boolean;
  readonly time: string;
  readonly required_logging_seconds: number;
  /** Refusals last seen before then are settled: every sidecar has logged for the required time since. */
  readonly evidence_since: string | null;
  readonly matrix: string;
  readonly fleet: string;
  readonly sidecars: readonly SidecarState[];
  readonly pairs: readonly PairCalls[];
  readonly skew: readonly PairSkew[];
  readonly keys: readonly PairKeys[];
  readonly hops: readonly PairHop[];
  readonly would_refuse: readonly Refusals[];
  /** Calls denied when they were made that the matrix allows by now. */
  readonly mended: number;
  readonly never_seen: NeverSeen;
  readonly app_ports: readonly AppPort[];
  /** Why it is not ready; empty when it is. */
  readonly blockers: readonly string[];
  /** Worth a look, and in nobody's way. */
  readonly warnings: readonly string[];
}

/** Weighs up what the sidecars recorded. Pure: everything comes in with `input`. */
export function assess(input: ReadinessInput): Readiness {
  const { states, fleet, matrix, hosts, nowMs } = input;
  const rows = inboundRows(states);
  const { sidecars, blockers } = sidecarStates(states, { fleet, matrix, hosts, nowMs });
  const sinceMs = evidenceSince(sidecars);
  const { refusals, mended } = replay(rows, states, matrix, input.intended, sinceMs);
  const keys = keysInPlace(states, matrix, nowMs);
  const skew = pairSkew(states);

  const unexplained = refusals.filter(({ state }) => state === 'unexplained');
  if (rows.length === 0)
    blockers.push('no call has been recorded: nothing is known about what enforcing would do');
  if (unexplained.length > 0) {
    const calls = unexplained.reduce((sum, { count }) => sum + count, 0);
    blockers.push(
      `${calls} recorded calls of ${unexplained.length} kinds would be refused, without an explanation: allow them in ` +
        'authorization.yaml (countersign matrix suggest), mend their cause, or declare them with --intended',
    );
  }
  blockers.push(...keys.flatMap(({ problems }) => problems));
  const hops = pairHops(states, fleet, nowMs);
  blockers.push(...hops.map(hopBlocker).filter((each) => each !== undefined));
  for (const { service, host, port, open, how } of input.appPorts)
    if (open)
      blockers.push(`the app of ${service} can be reached at ${host}:${port} past its sidecar (${how})`);

  return {
    ready: blockers.length === 0,
    time: new Date(nowMs).toISOString(),
    required_logging_seconds: requiredLoggingMs / 1000,
    evidence_since: Number.isFinite(sinceMs) ? new Date(sinceMs).toISOString() : null,
    matrix: matrix.hash,
    fleet: fleet.hash,
    sidecars,
    pairs: pairCalls(rows),
    skew,
    keys,
    hops,
    would_refuse: refusals,
    mended,
    never_seen: neverSeen(rows, fleet, matrix),
    app_ports: input.appPorts,
    blockers,
    warnings: warnings(states, skew, sidecars),
  };
}

/** The start of the shortest time in which every sidecar to be swapped has logged long enough; all time when one has not. */
function evidenceSince(sidecars: readonly SidecarState[]): number {
  const starts = sidecars
    .filter(({ to_swap }) => to_swap)
    .map(({ evidence_since }) =>
      evidence_since === undefined ? Number.NEGATIVE_INFINITY : Date.parse(evidence_since),
    );
  return starts.length === 0 ? Number.NEGATIVE_INFINITY : Math.min(...starts);
}

function warnings(
  states: readonly HostState[],
  skew: readonly PairSkew[],
  sidecars: readonly SidecarState[],
): string[] {
  const found: string[] = [];
  for (const { caller, callee, min_seconds, max_seconds } of skew) {
    const most = Math.max(Math.abs(min_seconds), Math.abs(max_seconds));
    if (most > warnSkewSeconds)
      found.push(
        `the clocks of ${caller} and ${callee} were up to ${Math.round(most)} s apart; past 300 s calls are refused`,
      );
  }
  for (const { from, observed } of states) {
    if ((observed?.overflow ?? 0) > 0)
      found.push(`${from}: ${observed?.overflow} calls found no room in the table of observations`);
  }
  const versions = new Set(sidecars.map(({ version, phase }) => `${phase} ${version}`));
  if (versions.size > 1) found.push(`the sidecars differ: ${[...versions].join(', ')}`);
  const times = sidecars
    .filter(({ phase }) => phase === 'logging')
    .map(({ logging_seconds }) => logging_seconds);
  if (times.length > 1 && Math.max(...times) > 2 * Math.min(...times))
    found.push(
      `logged for ${hours(Math.min(...times))} to ${hours(Math.max(...times))}: some sidecars came later`,
    );
  return found;
}
