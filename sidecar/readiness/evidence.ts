import type { ObservedDocument } from '../telemetry/documents.ts';
import { spansOf } from '../telemetry/recorded-spans.ts';

const hourMs = 3_600_000;

/** The rule of enforcing: every sidecar that is to enforce has logged for 24 h. No option changes it. */
export const requiredLoggingMs = 24 * hourMs;
/** Logging longer ago than this is no evidence of what is called today. */
export const evidenceAgeMs = 7 * 24 * hourMs;
/** Documents gathered longer ago than this say nothing of the fleet as it is now. */
export const staleAfterMs = 15 * 60_000;
/** A sidecar's clock may be ahead of ours by this much. */
const clockToleranceMs = 60_000;

/** How long a sidecar has logged, and since when that is evidence. */
export interface LoggedTime {
  /** Within the last seven days. */
  readonly ms: number;
  /** The latest time since which the required time was logged; undefined when it was not. Since the epoch. */
  readonly sinceMs: number | undefined;
}

/** Adds up the time that a sidecar has logged until its document was gathered, newest first. */
export function loggedTime({ recorded, gathered_at }: ObservedDocument): LoggedTime {
  if (gathered_at === undefined) return { ms: 0, sinceMs: undefined };
  const endMs = Date.parse(gathered_at);
  const spans = spansOf(recorded)
    .filter(({ phase }) => phase === 'logging')
    .sort((a, b) => b.toMs - a.toMs);
  let ms = 0;
  let sinceMs: number | undefined;
  // What is counted already: spans that overlap, as a copied document might have, count once.
  let countedFromMs = endMs;
  for (const { fromMs, toMs } of spans) {
    const from = Math.max(fromMs, endMs - evidenceAgeMs);
    const span = Math.min(toMs, countedFromMs) - from;
    if (span <= 0) continue;
    if (sinceMs === undefined && ms + span >= requiredLoggingMs)
      sinceMs = from + (ms + span - requiredLoggingMs);
    ms += span;
    countedFromMs = from;
  }
  return { ms, sinceMs };
}

/** Why a document is no evidence of now; undefined when it is. */
export function staleness(
  document: 'status' | 'observed',
  gatheredAt: string | undefined,
  nowMs: number,
): string | undefined {
  if (gatheredAt === undefined)
    return `its ${document} does not say when it was gathered; expected gathered_at, which sidecars from 0.2 on write`;
  const ageMs = nowMs - Date.parse(gatheredAt);
  if (ageMs > staleAfterMs)
    return `its ${document} was gathered ${Math.floor(ageMs / 60_000)} min ago; expected 15 min at most: gather again`;
  if (ageMs < -clockToleranceMs)
    return `its ${document} was gathered in the future, at ${gatheredAt}; compare the clocks`;
  return undefined;
}
