import type { HostState } from '../telemetry/documents.ts';
import { staleness } from './evidence.ts';
import { type Gate, gateGoodForMs, gatePurpose, gateSchema, loadedBy, macHolds } from './gate.ts';

/** Clock difference that a gate file from another machine may have. */
const clockToleranceMs = 60_000;

export interface GateCheck {
  /** The file's text. */
  readonly text: string;
  readonly key: Uint8Array;
  /** SHA-256 of the enforcing executables that are about to be installed. */
  readonly enforcing: readonly string[];
  /** The hosts that are about to be swapped, as they are now. */
  readonly states: readonly HostState[];
  readonly nowMs: number;
}

/** Why a gate file does not allow to go on, each in a sentence; empty when it does. */
export function gateProblems({ text, key, enforcing, states, nowMs }: GateCheck): string[] {
  const gate = parseGate(text);
  if (typeof gate === 'string') return [gate];
  if (!macHolds(gate, key))
    return [
      'the MAC does not match: the file was changed, or made with another key; make a new one with report --gate',
    ];
  const problems = timeProblems(gate, nowMs);
  for (const hash of enforcing)
    if (!gate.enforcing.includes(hash))
      problems.push(`the enforcing executable is ${hash}; the file is for ${gate.enforcing.join(', ')}`);
  for (const state of states) problems.push(...hostProblems(gate, state, nowMs));
  return problems;
}

/** The gate file in a text, or what is wrong with it. The MAC is not checked. */
export function parseGate(text: string): Gate | string {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch {
    return 'found a text that is not JSON, expected a gate file made by report --gate';
  }
  const checked = gateSchema.safeParse(data);
  if (checked.success) return checked.data;
  const [issue] = checked.error.issues;
  return `found a fault at ${issue?.path.join('.') || 'the top'} (${issue?.message}), expected a gate file with purpose "${gatePurpose}"`;
}

function timeProblems(gate: Gate, nowMs: number): string[] {
  const created = Date.parse(gate.created);
  const expires = Date.parse(gate.expires);
  if (expires - created > gateGoodForMs) return ['the file claims to be good for more than 24 h'];
  if (created > nowMs + clockToleranceMs) return [`the file was made in the future, at ${gate.created}`];
  if (expires <= nowMs) return [`the file expired at ${gate.expires}; report again with --gate`];
  return [];
}

function hostProblems(gate: Gate, { from, status }: HostState, nowMs: number): string[] {
  if (status === undefined) return [`${from}: found no status`];
  const name = `${status.service} on ${status.host}`;
  const pinned = gate.sidecars.find(
    ({ service, host }) => service === status.service && host === status.host,
  );
  if (pinned === undefined) return [`${name} was not part of the report`];
  const problems: string[] = [];
  const stale = staleness('status', status.gathered_at, nowMs);
  if (stale !== undefined) problems.push(`${name}: ${stale}`);
  if (status.matrix !== gate.matrix)
    problems.push(`${name} runs another authorization.yaml than was reported on`);
  if (status.fleet !== gate.fleet) problems.push(`${name} runs another fleet.yaml than was reported on`);
  if (!status.ready) problems.push(`${name} is not ready`);
  const loaded = loadedBy(status);
  for (const [callee, kid] of Object.entries(pinned.outbound))
    if (loaded.outbound[callee] !== kid)
      problems.push(
        `${name} signs calls to ${callee} with ${loaded.outbound[callee] ?? 'no key'}, not with ${kid}`,
      );
  for (const [caller, kids] of Object.entries(pinned.inbound))
    for (const kid of kids)
      if (!loaded.inbound[caller]?.includes(kid)) problems.push(`${name} has no longer loaded ${kid}`);
  return problems;
}
