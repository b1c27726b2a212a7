import type { ComponentHash } from '../telemetry/denial-ring.ts';
import type { DenialDocument, HostState, SignedDocument } from '../telemetry/documents.ts';

/** One covered component as the caller signed it and as the callee received it. */
export interface ComparedComponent {
  readonly component: string;
  readonly signed: string | undefined;
  readonly received: string | undefined;
}

/** All that the sidecars know of one call. */
export interface CallTrace {
  readonly request_id: string;
  /** From the callee's side, and from the caller's own when it refused the call itself. */
  readonly denials: readonly { readonly from: string; readonly denial: DenialDocument }[];
  readonly signed: { readonly from: string; readonly signed: SignedDocument } | undefined;
  /** Of a mismatch, when both sides were read: what the two ends saw. */
  readonly compared: readonly ComparedComponent[];
}

/**
 * Collects what both ends know of a call.
 *
 * @param requestId undefined for the newest denial of all
 * @returns undefined when no end knows the call
 */
export function traceCall(
  states: readonly HostState[],
  requestId: string | undefined,
): CallTrace | undefined {
  const all = states.flatMap(({ from, denials }) =>
    (denials?.denials ?? []).map((denial) => ({ from, denial })),
  );
  const id = requestId ?? newest(all)?.denial.request_id;
  if (id === undefined) return undefined;
  const denials = all.filter(({ denial }) => denial.request_id === id);
  const signed = states
    .flatMap(({ from, denials: known }) => (known?.signed ?? []).map((each) => ({ from, signed: each })))
    .find((each) => each.signed.request_id === id);
  if (denials.length === 0 && signed === undefined) return undefined;
  const received = denials.find(({ denial }) => isMismatchReceived(denial))?.denial.received;
  return {
    request_id: id,
    denials,
    signed,
    compared: received === undefined ? [] : compare(signed?.signed.components ?? [], hashesIn(received)),
  };
}

function isMismatchReceived({ direction, reason }: DenialDocument): boolean {
  return direction === 'inbound' && reason === 'signature-mismatch';
}

/** Reads the `"@path"=1a2b3c4d` list of a mismatch's `received`. */
export function hashesIn(received: string): ComponentHash[] {
  const string = '"(?:[^"\\\\]|\\\\.)*"';
  const pattern = new RegExp(
    `(${string}(?:;[a-z*][a-z0-9_.*-]*(?:=(?:${string}|[^\\s;="]+))?)*)=([0-9a-f]{8,64}|none)(?= |$)`,
    'g',
  );
  return [...received.matchAll(pattern)].map(([, component, hash]) => ({
    component: component as string,
    hash: hash as string,
  }));
}

function compare(signed: readonly ComponentHash[], received: readonly ComponentHash[]): ComparedComponent[] {
  const names = [...new Set([...signed, ...received].map(({ component }) => component))];
  const hashOf = (list: readonly ComponentHash[], name: string) =>
    list.find(({ component }) => component === name)?.hash;
  return names.map((component) => ({
    component,
    signed: hashOf(signed, component),
    received: hashOf(received, component),
  }));
}

function newest(all: readonly { readonly from: string; readonly denial: DenialDocument }[]) {
  return all.reduce<(typeof all)[number] | undefined>(
    (latest, each) =>
      latest === undefined || Date.parse(each.denial.time) > Date.parse(latest.denial.time) ? each : latest,
    undefined,
  );
}
