import * as z from 'zod';
import { adminPage } from '../fleet-reader/admin-page.ts';
import { pathTemplate } from '../policy/path-template.ts';
import {
  type DenialsDocument,
  denialsSchema,
  type ObservedDocument,
  observedSchema,
} from '../telemetry/documents.ts';
import type { GatedReport } from './gated-report.ts';
import { counts, type Failure, type LiveSkew, lateCallCounts, resemblesSeen } from './rule.ts';
import type { Counters } from './window.ts';

const timeoutMs = 3_000;
const statusSchema = z.object({
  phase: z.enum(['logging', 'enforcing']),
  ready: z.boolean(),
  /** Hash of the matrix in force. */
  matrix: z.string(),
});
const sample = /^countersign_requests_total\{([^}]*)\} (\d+(?:\.\d+)?(?:e\+?\d+)?)$/gm;
const label = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** What the admin listener answered; undefined what it did not. */
export interface Reading {
  readonly status: z.output<typeof statusSchema> | undefined;
  /** Allowed inbound calls by proven caller. */
  readonly allowed: ReadonlyMap<string, number> | undefined;
  readonly observed: ObservedDocument | undefined;
  readonly denials: DenialsDocument | undefined;
}

/** Reads a sidecar's admin listener; never throws. @param base `http://127.0.0.1:15000`, `unix:PATH` */
export async function readSidecar(base: string): Promise<Reading> {
  const get = async <T>(path: string, parse: (text: string) => T): Promise<T | undefined> => {
    try {
      const page = await adminPage(base, path, AbortSignal.timeout(timeoutMs));
      return page.status === 200 ? parse(page.text) : undefined;
    } catch {
      return undefined;
    }
  };
  const [status, allowed, observed, denials] = await Promise.all([
    get('/status', (text) => statusSchema.parse(JSON.parse(text))),
    get('/metrics', allowedByPeer),
    get('/observed', (text) => observedSchema.parse(JSON.parse(text))),
    get('/denials', (text) => denialsSchema.parse(JSON.parse(text))),
  ]);
  return { status, allowed, observed, denials };
}

/** Allowed inbound calls by peer, of those that proved who they are; undefined when these are no such metrics. */
export function allowedByPeer(text: string): Map<string, number> | undefined {
  if (!text.includes('# TYPE countersign_requests_total counter')) return undefined;
  const allowed = new Map<string, number>();
  for (const [, labels = '', value = ''] of text.matchAll(sample)) {
    const named = new Map([...labels.matchAll(label)].map(([, name = '', of = '']) => [name, of]));
    const peer = named.get('peer');
    if (named.get('direction') !== 'inbound' || named.get('verdict') !== 'allowed') continue;
    if (peer === undefined || peer === 'unknown') continue;
    allowed.set(peer, (allowed.get(peer) ?? 0) + Number(value));
  }
  return allowed;
}

/** The counters of a reading that the rule looks at. */
export function countersOf({ status, allowed, observed }: Reading, report: GatedReport): Counters {
  const failed = new Map<string, { caller: string; count: number }>();
  let unproven = 0;
  for (const row of observed?.observations ?? []) {
    if (row.direction !== 'inbound' || row.verdict !== 'denied') continue;
    const failure: Failure = { ...row, template: row.path };
    if (counts(failure, report)) {
      const key = `${row.caller}\n${row.callee}\n${row.method}\n${row.path}\n${row.reason}`;
      failed.set(key, { caller: row.caller as string, count: row.count + (failed.get(key)?.count ?? 0) });
    } else if (resemblesSeen(failure, report)) unproven += row.count;
  }
  const ungated = status !== undefined && status.matrix !== report.matrix;
  const unprovenPeers = (observed?.observations ?? [])
    .filter(({ direction, reason }) => direction === 'outbound' && reason === 'peer-unproven')
    .reduce((sum, { count }) => sum + count, 0);
  const plainAfterSealed = (observed?.hops ?? [])
    .filter(({ sealed, plain }) => sealed !== undefined && plain !== undefined && plain.last > sealed.first)
    .reduce((sum, { plain }) => sum + (plain?.count ?? 0), 0);
  return { allowed: allowed ?? new Map(), failed, unproven, ungated, unprovenPeers, plainAfterSealed };
}

/** A call outside the time window that counts. */
export interface LateCall {
  readonly key: string;
  readonly caller: string;
}

/**
 * The calls outside the time window that a measured skew explains, since a time. One signature counts once: it is
 * known by its key id, its `created` and what it signs.
 *
 * @param sinceMs milliseconds since the epoch
 */
export function lateCalls({ denials, observed }: Reading, report: GatedReport, sinceMs: number): LateCall[] {
  const live: LiveSkew = new Map(
    (observed?.skew ?? []).map(({ caller, mean_seconds }) => [caller, mean_seconds]),
  );
  const late: LateCall[] = [];
  for (const denial of denials?.denials ?? []) {
    const timeMs = Date.parse(denial.time);
    if (denial.direction !== 'inbound' || timeMs < sinceMs) continue;
    const created = /created=(-?\d+)/.exec(denial.received ?? '')?.[1];
    if (created === undefined || denial.claimed === undefined) continue;
    const failure: Failure = { ...denial, template: pathTemplate(denial.path) };
    if (!lateCallCounts(failure, timeMs / 1000 - Number(created), report, live)) continue;
    const signature = `${denial.kid ?? ''}\n${created}\n${denial.method}\n${denial.path}`;
    late.push({ key: signature, caller: denial.claimed });
  }
  return late;
}
