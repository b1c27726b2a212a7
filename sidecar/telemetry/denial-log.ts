import type { Logger } from 'pino';
import type { DenialEntry } from './denial-ring.ts';
import { denialDocument } from './documents.ts';

/** Denials logged in full: so many at once, and so many a second in the long run, for each kind of caller. */
export const burst = 50;
export const perSecond = 10;
const summaryEveryMs = 10_000;

interface Bucket {
  tokens: number;
  filledAtMs: number;
}

/**
 * Logs denials in full up to a rate, and counts the rest in summaries. Proven callers and strangers have a rate of
 * their own, so that noise from outside hides no denial of a service.
 */
export class DenialLog {
  readonly #logger: Logger;
  readonly #proven: Bucket = { tokens: burst, filledAtMs: Number.NEGATIVE_INFINITY };
  readonly #strangers: Bucket = { tokens: burst, filledAtMs: Number.NEGATIVE_INFINITY };
  #suppressed = new Map<string, { reason: string; caller: string; direction: string; count: number }>();
  #timer: NodeJS.Timeout | undefined;
  /** Denials that only a summary tells of, since start. */
  suppressedTotal = 0;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  log(entry: DenialEntry): void {
    const bucket = entry.caller === undefined ? this.#strangers : this.#proven;
    if (takeToken(bucket, entry.timeMs)) {
      // The line has a time of its own.
      const { explanation: _explanation, time: _time, ...fields } = denialDocument(entry);
      this.#logger.warn({ event: 'denial', ...fields }, `${entry.reason}: ${entry.detail}`);
      return;
    }
    this.suppressedTotal++;
    const caller = entry.caller ?? 'unknown';
    const key = `${entry.direction} ${caller} ${entry.reason}`;
    const counted = this.#suppressed.get(key);
    if (counted !== undefined) counted.count++;
    else this.#suppressed.set(key, { direction: entry.direction, caller, reason: entry.reason, count: 1 });
    this.#timer ??= setTimeout(() => this.flush(), summaryEveryMs).unref();
  }

  /** Writes the summary of what was not logged in full, if anything. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#suppressed.size === 0) return;
    const denials = [...this.#suppressed.values()];
    this.#suppressed = new Map();
    const count = denials.reduce((sum, each) => sum + each.count, 0);
    this.#logger.warn(
      { event: 'denials-summary', count, denials },
      `${count} more denials, not logged one by one`,
    );
  }
}

function takeToken(bucket: Bucket, nowMs: number): boolean {
  const passedMs = Math.max(0, nowMs - bucket.filledAtMs);
  bucket.tokens = Math.min(burst, bucket.tokens + (passedMs * perSecond) / 1000);
  bucket.filledAtMs = nowMs;
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}
