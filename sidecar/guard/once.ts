import { setTimeout as sleep } from 'node:timers/promises';
import type { GatedReport } from './gated-report.ts';
import { readSidecar } from './reading.ts';
import { breaking, findingText, type Judgement } from './rule.ts';
import { Watch } from './watch.ts';

/** How often a sidecar is looked at. */
const pauseMs = 1_000;

/** What watching one sidecar for a while came to. */
export interface Finding {
  readonly from: string;
  readonly ok: boolean;
  /** One sentence. */
  readonly text: string;
  readonly judgement: Judgement;
}

/**
 * Watches sidecars for a while by the guard's rule, and changes nothing. A sidecar that fails it ends the watch of
 * that one at once; one must answer, enforce and be ready at the end.
 */
export function watchOnce(urls: readonly string[], report: GatedReport, forMs: number): Promise<Finding[]> {
  return Promise.all(urls.map((url) => watchOne(url, report, forMs)));
}

async function watchOne(from: string, report: GatedReport, forMs: number): Promise<Finding> {
  const watch = new Watch();
  const endMs = performance.now() + forMs;
  for (;;) {
    const reading = await readSidecar(from);
    watch.add(reading, report, performance.now(), Date.now());
    const { judgement } = watch;
    if (breaking.has(judgement.kind)) return { from, ok: false, text: findingText(judgement), judgement };
    const leftMs = endMs - performance.now();
    if (leftMs <= 0) {
      const { status, allowed } = reading;
      const fault =
        status === undefined
          ? 'the admin listener does not answer'
          : status.phase !== 'enforcing'
            ? 'the logging binary serves'
            : !status.ready
              ? 'the sidecar is not ready'
              : allowed === undefined
                ? '/metrics is missing'
                : undefined;
      return { from, ok: fault === undefined, text: fault ?? findingText(judgement), judgement };
    }
    await sleep(Math.min(pauseMs, leftMs));
  }
}
