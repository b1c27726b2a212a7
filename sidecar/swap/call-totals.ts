import { readMetrics } from '../telemetry/metrics-document.ts';

/** Calls of a sidecar since it started, of peers that it knows. */
export interface CallTotals {
  readonly calls: number;
  /** Answered with a status of 500 or more. A denied call that the logging sidecar forwards has not failed. */
  readonly failed: number;
}

/** Failures may become this much more of all calls before a watch says so. */
const toleratedRise = 0.05;
/** Fewer calls than this say nothing. */
const fewestCalls = 100;

/** @param metrics the text of `/metrics`. Calls whose caller nobody proved are left out: anyone can make those fail. */
export function callTotals(metrics: string): CallTotals {
  let calls = 0;
  let failed = 0;
  for (const { peer, code, count } of readMetrics(metrics).calls) {
    if (peer === 'unknown') continue;
    calls += count;
    if (code >= 500) failed += count;
  }
  return { calls, failed };
}

/** The share of calls that failed, from 0 to 1; 0 when there were none. */
export function failedShare({ calls, failed }: CallTotals): number {
  return calls === 0 ? 0 : failed / calls;
}

/**
 * Whether clearly more calls fail between two readings than did before.
 *
 * @param before the share that failed with the sidecar before, from 0 to 1
 * @returns what was found, in words
 */
export function riseOfFailures(first: CallTotals, now: CallTotals, before: number): string | undefined {
  const since = { calls: now.calls - first.calls, failed: now.failed - first.failed };
  const share = failedShare(since);
  if (since.calls < fewestCalls || share <= before + toleratedRise) return undefined;
  return `${since.failed} of ${since.calls} calls failed (${percent(share)}), expected about ${percent(before)} as before`;
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
