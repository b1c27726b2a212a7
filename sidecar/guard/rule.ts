import { type Reason, reasons } from '../terms/reasons.ts';
import type { GatedReport } from './gated-report.ts';

/** Failures above this share of the calls roll back. */
export const failureShare = 0.05;
/** Fewer calls than this say nothing. */
export const fewestCalls = 100;
/** Refusals of one caller under another matrix than the gated one: fewer say nothing. */
export const fewestUngatedRefusals = 10;
/** Failures that a total refusal takes, and those of the second caller among them. */
export const fewestInTotalRefusal = 20;
export const fewestOfSecondCaller = 5;
/** How long nothing but refusals is a total refusal. With a look every 2 s it is found within 10 s. */
export const totalRefusalMs = 8_000;
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

/** What a window counted, by caller. */
export interface Counted {
  /** In five minutes. */
  readonly all: ReadonlyMap<string, CallerTotals>;
  /** In the last eight seconds. */
  readonly recent: ReadonlyMap<string, CallerTotals>;
  /** In five minutes, while another matrix than the gated one was in force. */
  readonly ungated: ReadonlyMap<string, CallerTotals>;
}

export interface Judgement {
  /**
   * `ungated-refusals`: another matrix than the gated one refuses what the gated one allowed. `total-refusal`: for eight
   * seconds nothing but refusals, of several callers. `failing`: enforcing breaks calls of several callers.
   * `single-caller`: without the worst caller all is well. `too-few`: fewer than 100 calls.
   */
  readonly kind: 'well' | 'too-few' | 'single-caller' | 'failing' | 'total-refusal' | 'ungated-refusals';
  readonly calls: number;
  readonly failures: number;
  /** The caller with the most failures. */
  readonly worst: string | undefined;
}

/** The findings for which the guard swaps back. None can be made by strangers, or by one caller that proves itself. */
export const breaking: ReadonlySet<Judgement['kind']> = new Set([
  'failing',
  'total-refusal',
  'ungated-refusals',
]);

/** The guard's rule: the strongest evidence first. */
export function judge(counted: Counted): Judgement {
  return ungatedRefusals(counted.ungated) ?? totalRefusal(counted.recent) ?? share(counted.all);
}

/**
 * A caller cannot change the matrix. One whose calls were allowed and seen by the gated matrix, and are refused under
 * another, is evidence even if it is the only one.
 */
function ungatedRefusals(totals: ReadonlyMap<string, CallerTotals>): Judgement | undefined {
  for (const [caller, { allowed, failed }] of totals)
    if (failed >= fewestUngatedRefusals && failed > failureShare * (allowed + failed))
      return { kind: 'ungated-refusals', calls: allowed + failed, failures: failed, worst: caller };
  return undefined;
}

/** Nothing but refusals, and not those of one caller alone. */
function totalRefusal(totals: ReadonlyMap<string, CallerTotals>): Judgement | undefined {
  const { calls, failures, worst } = sum(totals);
  const refused = [...totals.values()].filter(({ failed }) => failed >= fewestOfSecondCaller);
  if (failures < calls || failures < fewestInTotalRefusal || refused.length < 2) return undefined;
  return { kind: 'total-refusal', calls, failures, worst };
}

/** Failures above 5 % of at least 100 calls, and not of a single caller. */
function share(totals: ReadonlyMap<string, CallerTotals>): Judgement {
  const found = sum(totals);
  const { calls, failures, worst } = found;
  if (calls < fewestCalls) return { kind: 'too-few', ...found };
  if (failures <= failureShare * calls) return { kind: 'well', ...found };
  // Anyone who holds one caller's key could otherwise switch enforcement off for all.
  const rest = totals.get(worst as string) as CallerTotals;
  const restCalls = calls - rest.allowed - rest.failed;
  const restFailures = failures - rest.failed;
  return { kind: restFailures > failureShare * restCalls ? 'failing' : 'single-caller', ...found };
}

function sum(totals: ReadonlyMap<string, CallerTotals>): Omit<Judgement, 'kind'> {
  let calls = 0;
  let failures = 0;
  let worst: string | undefined;
  let worstFailures = 0;
  for (const [caller, { allowed, failed }] of totals) {
    calls += allowed + failed;
    failures += failed;
    if (failed > worstFailures) [worst, worstFailures] = [caller, failed];
  }
  return { calls, failures, worst };
}

/** A finding in words. */
export function findingText({ kind, calls, failures, worst }: Judgement): string {
  const percent = ((100 * failures) / Math.max(1, calls)).toFixed(1);
  const found = `${failures} of ${calls} calls within five minutes failed (${percent} %)`;
  switch (kind) {
    case 'ungated-refusals':
      return `${failures} of ${calls} calls of ${worst} were refused that were allowed and seen before: the authorization.yaml in force is not the one that was reported on`;
    case 'total-refusal':
      return `all ${failures} calls of the last eight seconds failed, most of them of ${worst}`;
    case 'failing':
      return `${found}, most of them of ${worst}`;
    case 'single-caller':
      return `${found}, but those of ${worst} alone make it so: no reason to swap back`;
    case 'too-few':
      return `${failures} of ${calls} calls failed: fewer than 100 say nothing`;
    case 'well':
      return `${failures} of ${calls} calls failed`;
  }
}
