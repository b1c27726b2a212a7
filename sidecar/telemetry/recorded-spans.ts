import type { ObservedDocument, Phase } from './documents.ts';

/** Time during which a sidecar ran and recorded, without a gap. Times are milliseconds since the epoch. */
export interface RecordedSpan {
  readonly phase: Phase;
  readonly fromMs: number;
  readonly toMs: number;
}

/** Spans that are kept at most: the newest. Fewer spans only ever count less time. */
const mostSpans = 200;
/** Spans that ended longer ago are forgotten. */
const forgottenAfterMs = 8 * 24 * 3_600_000;

/** The spans of both, oldest first; those of one phase that touch are one. */
export function addSpans(
  one: readonly RecordedSpan[],
  two: readonly RecordedSpan[],
  nowMs: number,
): RecordedSpan[] {
  const sorted = [...one, ...two]
    .filter(({ fromMs, toMs }) => toMs > fromMs && toMs >= nowMs - forgottenAfterMs)
    .sort((a, b) => a.fromMs - b.fromMs);
  const spans: RecordedSpan[] = [];
  const newest = new Map<Phase, number>();
  for (const span of sorted) {
    const at = newest.get(span.phase);
    const last = at === undefined ? undefined : spans[at];
    if (at !== undefined && last !== undefined && span.fromMs <= last.toMs) {
      spans[at] = { ...last, toMs: Math.max(last.toMs, span.toMs) };
      continue;
    }
    newest.set(span.phase, spans.push(span) - 1);
  }
  return spans.slice(-mostSpans);
}

export function spansOf(document: ObservedDocument['recorded']): RecordedSpan[] {
  return document.map(({ phase, from, to }) => ({ phase, fromMs: Date.parse(from), toMs: Date.parse(to) }));
}

export function spansDocument(spans: readonly RecordedSpan[]): ObservedDocument['recorded'] {
  return spans.map(({ phase, fromMs, toMs }) => ({
    phase,
    from: new Date(fromMs).toISOString(),
    to: new Date(toMs).toISOString(),
  }));
}
