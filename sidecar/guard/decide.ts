import { breaking, findingText, type Judgement } from './rule.ts';

/** What the guard remembers over its own restarts. Times are milliseconds since the epoch. */
export interface GuardState {
  /** The swap to enforcing that is watched; undefined while the logging binary serves. */
  readonly swap: Swap | undefined;
  readonly lastRollback: { readonly atMs: number; readonly why: string } | undefined;
}

export interface Swap {
  readonly sinceMs: number;
  /** Which gate file allowed it. */
  readonly gate: string;
  /** Whether the enforcing binary has been ready since. */
  readonly ready: boolean;
}

export const freshState: GuardState = { swap: undefined, lastRollback: undefined };

/** What one look at the local sidecar found. */
export interface Look {
  /** Undefined when `/status` did not answer. */
  readonly status: { readonly phase: 'logging' | 'enforcing'; readonly ready: boolean } | undefined;
  readonly metrics: boolean;
  /** Whether the enforcing service runs or ought to: started, starting, or failed. */
  readonly enforcingWanted: boolean;
  readonly gate: string;
  /** Whether the matrix in force is another than the gated one. */
  readonly ungated: boolean;
  readonly judgement: Judgement;
  /** Unproven failures of calls that look like ones that were seen. */
  readonly unproven: number;
  /** Outbound calls whose callee did not prove the pair key. */
  readonly unprovenPeers: number;
  /** Signed calls in the clear between hosts whose calls were sealed before. */
  readonly plainAfterSealed: number;
  /** Looks in a row, this one included, that found the sidecar unwell. */
  readonly misses: number;
  /** Since the guard last restarted the enforcing binary; Infinity when it never did. */
  readonly restartedAgoMs: number;
}

/** Looks that find nothing before a binary that was ready is restarted. */
const missesBeforeRestart = 3;
/** A restarted binary gets this long before it is restarted again. */
const restartPauseMs = 5 * 60_000;

export interface Settings {
  readonly bakeMs: number;
  /** How long a binary may take after the swap until it is ready. */
  readonly readyWithinMs: number;
}

export type AlarmKind =
  | 'rollback'
  | 'rollback-failed'
  | 'failing'
  | 'single-caller'
  | 'ungated-matrix'
  | 'unproven-failures'
  | 'peer-unproven'
  | 'sealed-then-plain'
  | 'metrics-missing'
  | 'sidecar-stopped'
  | 'restart-failed';

export interface Alarm {
  readonly kind: AlarmKind;
  readonly text: string;
}

export interface Decision {
  readonly state: GuardState;
  readonly alarms: readonly Alarm[];
  /** At most one of the two: back to logging, or the same binary once more. */
  readonly act: 'rollback' | 'restart' | undefined;
}

/** Whether what a look found answers, and is ready. */
export function isWell({ status, metrics }: Pick<Look, 'status' | 'metrics'>): boolean {
  return status?.ready === true && metrics;
}

/** What to do after a look. Pure: the same state, look and time give the same decision. */
export function decide(state: GuardState, look: Look, nowMs: number, settings: Settings): Decision {
  const swap = swapOf(state, look, nowMs);
  const next = { ...state, swap };
  if (swap === undefined) return { state: next, alarms: [], act: undefined };
  return (isWell(look) ? well : unwell)(next, swap, look, nowMs, settings);
}

/** A swap begins when enforcing is first seen, or seen with another gate file; it ends with the logging binary. */
function swapOf({ swap }: GuardState, look: Look, nowMs: number): Swap | undefined {
  const enforcing =
    look.status === undefined
      ? swap !== undefined || look.enforcingWanted
      : look.status.phase === 'enforcing';
  if (!enforcing) return undefined;
  const ready = isWell(look);
  if (swap === undefined || swap.gate !== look.gate) return { sinceMs: nowMs, gate: look.gate, ready };
  return ready && !swap.ready ? { ...swap, ready } : swap;
}

function unwell(state: GuardState, swap: Swap, look: Look, nowMs: number, settings: Settings): Decision {
  const missing = [
    look.status === undefined ? '/status does not answer' : look.status.ready ? '' : '/status says not ready',
    look.metrics ? '' : '/metrics is missing',
  ]
    .filter((each) => each !== '')
    .join(', ');
  if (!swap.ready) {
    const waitedMs = nowMs - swap.sinceMs;
    if (waitedMs < settings.readyWithinMs) return { state, alarms: [], act: undefined };
    if (waitedMs < settings.bakeMs) {
      const why = `the enforcing binary did not become ready within ${settings.readyWithinMs / 1000} s of the swap: ${missing}`;
      return rollback(state, why, nowMs);
    }
  }
  if (!look.enforcingWanted && look.status === undefined) {
    const text = `${missing}: the enforcing service was stopped; start it, or swap to logging`;
    return { state, alarms: [{ kind: 'sidecar-stopped', text }], act: undefined };
  }
  if (look.misses < missesBeforeRestart) return { state, alarms: [], act: undefined };
  const restart = look.restartedAgoMs >= restartPauseMs;
  const text = `${missing}: ${restart ? 'restarting' : 'has restarted'} the enforcing binary`;
  return { state, alarms: [{ kind: 'metrics-missing', text }], act: restart ? 'restart' : undefined };
}

function well(state: GuardState, swap: Swap, look: Look, nowMs: number, settings: Settings): Decision {
  const { kind, calls } = look.judgement;
  const baking = nowMs - swap.sinceMs < settings.bakeMs;
  const alarms: Alarm[] = [];
  if (look.unproven > 0 && look.unproven > 0.05 * (calls + look.unproven) && calls + look.unproven >= 100) {
    const text = `${look.unproven} calls like ones that were seen failed without proof of who made them: a stranger's, or keys that do not fit; see /denials and countersign keys status`;
    alarms.push({ kind: 'unproven-failures', text });
  }
  // Anything on the way can cause these: alarms, and no reason to roll back.
  if (look.unprovenPeers > 0) {
    const text = `${look.unprovenPeers} calls met a host that did not prove the pair key; see /denials and hops in /observed`;
    alarms.push({ kind: 'peer-unproven', text });
  }
  if (look.plainAfterSealed > 0) {
    const text = `${look.plainAfterSealed} signed calls went in the clear between hosts that seal: something on the way interferes, or a sidecar went back to 0.1; see hops in /observed`;
    alarms.push({ kind: 'sealed-then-plain', text });
  }
  if (look.ungated && baking)
    alarms.push({
      kind: 'ungated-matrix',
      text: 'the authorization.yaml in force is not the one that the gate file is for; report again with --gate, and run phase 2 again',
    });
  const text = findingText(look.judgement);
  if (kind === 'single-caller') alarms.push({ kind, text });
  if (breaking.has(kind)) {
    if (baking) {
      const decision = rollback(state, text, nowMs);
      return { ...decision, alarms: [...alarms, ...decision.alarms] };
    }
    alarms.push({ kind: 'failing', text: `${text}; the bake window is over, so nothing is swapped back` });
  }
  return { state, alarms, act: undefined };
}

function rollback(state: GuardState, why: string, nowMs: number): Decision {
  return {
    state: { ...state, lastRollback: { atMs: nowMs, why } },
    alarms: [{ kind: 'rollback', text: `back to the logging binary: ${why}` }],
    act: 'rollback',
  };
}
