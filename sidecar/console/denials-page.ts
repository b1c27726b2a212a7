import { type Explanation, explainCall } from '../matrix-tools/explain.ts';
import { type CallTrace, traceCall } from '../readiness/both-sides.ts';
import type { DenialDocument } from '../telemetry/documents.ts';
import type { Reading } from './fleet-watch.ts';

/** What is shown of a fleet; each sidecar keeps its newest 1,000. */
const mostDenials = 1000;

/** One denial and the sidecar that knows of it. */
export type DenialRow = DenialDocument & { readonly service: string; readonly host: string };

/** Page 4: the newest denials of all sidecars. */
export interface DenialsPage {
  readonly denials: readonly DenialRow[];
  /** What the sidecars still know. */
  readonly total: number;
}

export function denialsPage({ current }: Reading): DenialsPage {
  const all = current.hosts.flatMap(({ from, status, denials }) =>
    (denials?.denials ?? []).map((denial) => ({
      ...denial,
      service: status?.service ?? from,
      host: status?.host ?? '',
    })),
  );
  // Times of one form sort as texts do.
  const newest = all.sort((a, b) => (a.time < b.time ? 1 : a.time > b.time ? -1 : 0)).slice(0, mostDenials);
  return { denials: newest, total: all.length };
}

/** Both ends of one call, and what the matrix that is on disk says of it. */
export interface CallPage extends CallTrace {
  /** Of the callee's denial: by which rule the call is allowed by now, or the nearest rules with file and line. */
  readonly explanation?: Explanation;
}

/** @returns undefined when no sidecar knows the call any more */
export function callPage({ current, policy }: Reading, requestId: string): CallPage | undefined {
  const trace = traceCall(current.hosts, requestId);
  if (trace === undefined) return undefined;
  const { denial } =
    trace.denials.find(({ denial }) => denial.direction === 'inbound') ?? trace.denials[0] ?? {};
  if (denial === undefined || !denial.path.startsWith('/')) return trace;
  const { caller, claimed, method, callee, path } = denial;
  const question = { caller: caller ?? claimed, method, callee, path: path.replace(/\?.*/s, '') };
  return { ...trace, explanation: explainCall(policy, question) };
}
