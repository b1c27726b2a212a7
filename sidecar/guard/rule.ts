import { type Reason, reasons } from '../terms/reasons.ts';
import type { GatedReport } from './gated-report.ts';

/** Failures above this share of the calls roll back. */
export const failureShare = 0.05;
/** Fewer calls than this say nothing. */
export const fewestCalls = 100;
/** How far back calls and failures are looked at. */
export const windowMs = 5 * 60_000;
/** Seconds of measured skew from which a clock explains a call outside the window of 300 s. */
export const explainingSkewSeconds = 240;

/** One kind of failed call that a sidecar reported. */
export interface Failure {
  /** Proven by its MAC, with a nonce that the replay memory had not seen. */
  readonly caller?: string | undefined;
  /** What an unproven call says of itself. */
  readonly claimed?: string | undefined;
  readonly callee: string;
  readonly method: string;
  readonly template: string;
  readonly reason: string;
}

/** A caller's measured skew in seconds, as /observed tells it of proven calls. */
export type LiveSkew = ReadonlyMap<string, number>;

/**
 * Whether a failure of a proven caller counts: its kind of call was allowed and seen in the gated report, and the
 * failure is none that somebody in between can produce. A caller is proven only behind the replay memory, which lets
 * each nonce pass once, so each nonce counts once.
 */
export function counts(failure: Failure, report: GatedReport): boolean {
  const { caller, callee, method, template, reason } = failure;
  if (caller === undefined || !isVerdict(reason)) return false;
  if (reason === 'replayed' || reason === 'digest-mismatch') return false;
  return report.saw(caller, callee, method, template);
}

/**
 * Whether a call outside the time window counts: nobody proved it, so only if that caller's clock is known to be off
 * that far, to that side, by what was measured of its proven calls.
 *
 * @param skewSeconds our clock minus `created` of the failed call
 */
export function lateCallCounts(
  failure: Failure,
  skewSeconds: number,
  report: GatedReport,
  live: LiveSkew,
): boolean {
  const { claimed, callee, method, template, reason } = failure;
  if (reason !== 'outside-window' || claimed === undefined) return false;
  if (!report.saw(claimed, callee, method, template)) return false;
  const gated = report.skewOf(claimed, callee);
  const mean = live.get(claimed) ?? 0;
  // All of the calls in the report, or the mean of all since: one delayed call moves neither.
  const behind = Math.max(gated?.min ?? 0, mean) >= explainingSkewSeconds;
  const ahead = Math.min(gated?.max ?? 0, mean) <= -explainingSkewSeconds;
  return skewSeconds > 0 ? behind : ahead;
}

/** Whether an unproven failure looks like a call that was allowed and seen: worth an alarm, never a rollback. */
export function resemblesSeen(failure: Failure, report: GatedReport): boolean {
  const { caller, claimed, callee, method, template, reason } = failure;
  if (caller !== undefined || claimed === undefined || !isVerdict(reason)) return false;
  if (reason === 'replayed' || reason === 'digest-mismatch') return false;
  return report.saw(claimed, callee, method, template);
}

function isVerdict(reason: string): boolean {
  return reasons[reason as Reason]?.stage === 'verdict';
}

/** Calls of one caller within the window. */
export interface CallerTotals {
  readonly allowed: number;
  readonly failed: number;
}

export interface Judgement {
  /**
   * `failing`: enforcing breaks calls of several callers. `single-caller`: without the worst caller all is well.
   * `too-few`: fewer than 100 calls.
   */
  readonly kind: 'well' | 'too-few' | 'single-caller' | 'failing';
  readonly calls: number;
  readonly failures: number;
  /** The caller with the most failures. */
  readonly worst: string | undefined;
}

/** The guard's rule: failures above 5 % of at least 100 calls, and not of a single caller. */
export function judge(totals: ReadonlyMap<string, CallerTotals>): Judgement {
  let calls = 0;
  let failures = 0;
  let worst: string | undefined;
  let worstFailures = 0;
  for (const [caller, { allowed, failed }] of totals) {
    calls += allowed + failed;
    failures += failed;
    if (failed > worstFailures) [worst, worstFailures] = [caller, failed];
  }
  const found = { calls, failures, worst };
  if (calls < fewestCalls) return { kind: 'too-few', ...found };
  if (failures <= failureShare * calls) return { kind: 'well', ...found };
  // Whoever holds one caller's key could else switch enforcement off for all.
  const rest = totals.get(worst as string) as CallerTotals;
  const restCalls = calls - rest.allowed - rest.failed;
  const restFailures = failures - rest.failed;
  return { kind: restFailures > failureShare * restCalls ? 'failing' : 'single-caller', ...found };
}
