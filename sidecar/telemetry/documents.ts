import * as z from 'zod';
import { loadedKeysSchema } from '../keyring/loaded-keys.ts';
import type { DenialEntry, SignedEntry } from './denial-ring.ts';
import { explain } from './explain.ts';
import { totalOf } from './histogram.ts';
import { observedHopsSchema, statusHopsSchema } from './hop-documents.ts';
import type { MetricsDocument } from './metrics-document.ts';
import type { ObservedRow } from './observed-table.ts';
import type { TelemetrySnapshot } from './snapshot.ts';

const time = z.iso.datetime({ offset: true, error: 'a time such as 2026-11-23T12:00:00Z (RFC 3339)' });
const direction = z.enum(['inbound', 'outbound']);
const phase = z.enum(['logging', 'enforcing']);
const optionalText = z
  .string()
  .nullish()
  .transform((text) => text ?? undefined);
/** When the document was read from the sidecar, by the sidecar's clock; a file without it is no evidence of now. */
const gatheredAt = time.optional();
const component = z.object({ component: z.string(), hash: z.string() });

/** `/denials`: newest first. Times are RFC 3339. */
export const denialsSchema = z.object({
  gathered_at: gatheredAt,
  denials: z.array(
    z.object({
      request_id: z.string(),
      time,
      direction,
      caller: optionalText,
      claimed: optionalText,
      callee: z.string(),
      method: z.string(),
      path: z.string(),
      kid: optionalText,
      reason: z.string(),
      detail: z.string(),
      rule: optionalText,
      expected: optionalText,
      received: optionalText,
      disposition: z.enum(['forwarded', 'refused']).optional(),
      status: z.int().optional(),
      explanation: z.string().optional(),
    }),
  ),
  /** What this sidecar signed of calls that came back with a problem of ours. */
  signed: z
    .array(
      z.object({
        request_id: z.string(),
        time,
        callee: z.string(),
        method: z.string(),
        path: z.string(),
        kid: optionalText,
        reason: z.string(),
        components: z.array(component),
      }),
    )
    .default([]),
});

/** `/observed` and the file observed.json. */
export const observedSchema = z.object({
  since: time,
  phase,
  gathered_at: gatheredAt,
  /** When a sidecar ran and recorded, oldest first; in the gaps none ran. */
  recorded: z.array(z.object({ phase, from: time, to: time })).default([]),
  observations: z.array(
    z.object({
      direction,
      caller: optionalText,
      claimed: optionalText,
      callee: z.string(),
      method: z.string(),
      /** A template: ids are folded to `*`. */
      path: z.string(),
      /** A path that was called; segments that may be secrets are `*`. */
      example: z.string().optional(),
      verdict: z.enum(['allowed', 'denied']),
      reason: z
        .string()
        .nullish()
        .transform((text) => text ?? ''),
      count: z.number().min(0),
      first: time,
      last: time,
    }),
  ),
  /** The caller's clock against ours, of proven calls; positive when the caller's is behind. */
  skew: z
    .array(
      z.object({
        caller: z.string(),
        callee: z.string(),
        count: z.number().min(0),
        mean_seconds: z.number(),
        min_seconds: z.number(),
        max_seconds: z.number(),
      }),
    )
    .default([]),
  /** Key id to the time at which this sidecar first had it. */
  keys_first_seen: z.record(z.string(), time).default({}),
  /** Calls between this host and each host of a peer, by how they travelled. */
  hops: observedHopsSchema,
  /** Calls that found no room in the table. */
  overflow: z.number().min(0).default(0),
});

/** `/status`. */
export const statusSchema = z.object({
  gathered_at: gatheredAt,
  service: z.string(),
  /** This host, as fleet.yaml writes it. */
  host: z.string(),
  phase,
  version: z.string(),
  /** Hash of the build that runs, hex. */
  build: z.string(),
  matrix: z.string(),
  fleet: z.string(),
  keys: loadedKeysSchema,
  /** Connections to and from other sidecars. */
  hops: statusHopsSchema,
  uptime_seconds: z.number().min(0),
  ready: z.boolean(),
  workers: z.int().min(1),
  /** Addresses beyond loopback on which something listens at the app's port: whoever calls there walks around us. */
  app_exposed_on: z.array(z.string()).default([]),
  /** Whether anything listens at the app's port; absent without an app, and where the system does not tell. */
  app_listens: z.boolean().optional(),
});

export type DenialsDocument = z.output<typeof denialsSchema>;
export type DenialDocument = DenialsDocument['denials'][number];
export type SignedDocument = DenialsDocument['signed'][number];
export type ObservedDocument = z.output<typeof observedSchema>;
export type Observation = ObservedDocument['observations'][number];
export type StatusDocument = z.output<typeof statusSchema>;
export type Phase = StatusDocument['phase'];

/** What one sidecar says of itself, as far as it could be read. */
export interface HostState {
  /** The URL, file or folder that it was read from. */
  readonly from: string;
  /** Whose sidecar was looked for there; undefined where only its own documents tell. */
  readonly target?: { readonly service: string; readonly host: string };
  /** Why it, or a part of it, could not be read. */
  readonly problem?: string;
  readonly status?: StatusDocument;
  readonly observed?: ObservedDocument;
  readonly denials?: DenialsDocument;
  readonly metrics?: MetricsDocument;
}

/** RFC 3339 in UTC. */
export function timeText(ms: number): string {
  return new Date(ms).toISOString();
}

/** A document as it leaves the sidecar: with the time of now. */
export function gathered<T extends object>(document: T): T & { readonly gathered_at: string } {
  return { ...document, gathered_at: timeText(Date.now()) };
}

/** The body of `/denials`. */
export function denialsDocument(snapshot: TelemetrySnapshot): DenialsDocument {
  return { denials: snapshot.denials.map(denialDocument), signed: snapshot.signed.map(signedDocument) };
}

/** One denial as it stands in `/denials` and in the log. */
export function denialDocument(entry: DenialEntry): DenialDocument {
  const { requestId, timeMs, ...rest } = entry;
  return {
    request_id: requestId,
    time: timeText(timeMs),
    ...(rest as Omit<DenialDocument, 'request_id' | 'time' | 'explanation'>),
    explanation: explain(rest),
  };
}

function signedDocument({ requestId, timeMs, components, ...rest }: SignedEntry): SignedDocument {
  return {
    request_id: requestId,
    time: timeText(timeMs),
    ...(rest as Omit<SignedDocument, 'request_id' | 'time' | 'components'>),
    components: [...components],
  };
}

/** A row of the table as it stands in `/observed`. */
export function observation(row: ObservedRow): Observation {
  return { ...row, first: timeText(row.first), last: timeText(row.last) } as Observation;
}

/** The skew of each proven caller, from the histograms. */
export function skewOf(snapshot: TelemetrySnapshot): ObservedDocument['skew'] {
  return snapshot.peers
    .map(({ peer, skew }) => ({ peer, skew, count: totalOf(skew) }))
    .filter(({ count }) => count > 0)
    .map(({ peer, skew, count }) => ({
      caller: peer,
      callee: snapshot.service,
      count,
      mean_seconds: skew.sum / count,
      min_seconds: skew.min,
      max_seconds: skew.max,
    }));
}
