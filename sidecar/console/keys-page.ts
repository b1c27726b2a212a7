import { placeName } from '../rotation/roots.ts';
import type { HostState } from '../telemetry/documents.ts';
import { splitKeyId } from '../terms/kid.ts';
import type { Reading } from './fleet-watch.ts';

/**
 * How a generation stands, by what the sidecars have loaded. `pending`: accepted, and nobody signs with it yet. `active`: signed
 * with, the newest of those. `retiring`: accepted still, until `not_after`.
 */
export type GenerationState = 'pending' | 'active' | 'retiring';

/** One generation of a service's key, as the sidecars have it. */
export interface Generation {
  readonly kid: string;
  readonly generation: number;
  readonly state: GenerationState;
  /** When the first of the sidecars had it; absent where none remembers. */
  readonly first_seen?: string;
  readonly not_after?: string;
  /** Sidecars, as SERVICE@HOST. */
  readonly signed_with_by: readonly string[];
  readonly accepted_by: readonly string[];
}

/** One step of a rotation, and how many sidecars have done it. */
export interface RotationStep {
  readonly name: 'staged' | 'switched' | 'retired';
  readonly done: number;
  readonly of: number;
}

export interface ServiceKeys {
  readonly service: string;
  readonly generations: readonly Generation[];
  /** Present while two generations are about. */
  readonly rotation?: { readonly to: string; readonly steps: readonly RotationStep[] };
}

/** Page 6. It is made of what the sidecars have loaded; the key registry is never asked. */
export interface KeysPage {
  readonly taken_at: string;
  readonly services: readonly ServiceKeys[];
  /** Sidecars that did not say what they have loaded. */
  readonly silent: readonly string[];
}

interface Draft {
  readonly kid: string;
  firstSeen: string | undefined;
  notAfter: string | undefined;
  readonly signers: Set<string>;
  readonly verifiers: Set<string>;
}

export function keysPage({ current, policy }: Reading): KeysPage {
  const drafts = new Map<string, Draft>();
  for (const state of current.hosts) collect(drafts, state);
  const byService = Map.groupBy(drafts.values(), ({ kid }) => splitKeyId(kid).caller);
  const heard = new Set(current.hosts.flatMap(({ status }) => (status ? [placeName(status)] : [])));
  return {
    taken_at: new Date(current.takenAtMs).toISOString(),
    services: [...byService]
      .map(([service, own]) => serviceKeys(service, own))
      .sort((a, b) => (a.service < b.service ? -1 : 1)),
    silent: [...policy.fleet.services.values()]
      .flatMap(({ name, hosts }) => hosts.map((host) => placeName({ service: name, host })))
      .filter((place) => !heard.has(place)),
  };
}

function collect(drafts: Map<string, Draft>, { status, observed }: HostState): void {
  if (status === undefined) return;
  const place = placeName(status);
  const draft = (kid: string): Draft => {
    let found = drafts.get(kid);
    if (found === undefined) {
      found = { kid, firstSeen: undefined, notAfter: undefined, signers: new Set(), verifiers: new Set() };
      drafts.set(kid, found);
    }
    return found;
  };
  for (const { kid } of Object.values(status.keys.outbound)) draft(kid).signers.add(place);
  for (const { kid, not_after } of Object.values(status.keys.inbound).flat()) {
    const found = draft(kid);
    found.verifiers.add(place);
    if (not_after !== undefined && (found.notAfter === undefined || not_after > found.notAfter))
      found.notAfter = not_after;
  }
  for (const [kid, time] of Object.entries(observed?.keys_first_seen ?? {})) {
    const found = drafts.get(kid);
    if (found !== undefined && (found.firstSeen === undefined || time < found.firstSeen))
      found.firstSeen = time;
  }
}

function serviceKeys(service: string, own: readonly Draft[]): ServiceKeys {
  const drafts = own.toSorted((a, b) => generationOf(b) - generationOf(a));
  const signed = drafts.filter(({ signers }) => signers.size > 0);
  const active = signed[0] ?? drafts.find(({ notAfter }) => notAfter === undefined) ?? drafts[0];
  const generations = drafts.map(({ kid, firstSeen, notAfter, signers, verifiers }, index): Generation => {
    const at = drafts.indexOf(active as Draft);
    return {
      kid,
      generation: splitKeyId(kid).generation,
      state: index < at ? 'pending' : index === at ? 'active' : 'retiring',
      ...(firstSeen !== undefined && { first_seen: firstSeen }),
      ...(notAfter !== undefined && { not_after: notAfter }),
      signed_with_by: [...signers].sort(),
      accepted_by: [...verifiers].sort(),
    };
  });
  const [newest] = drafts;
  if (newest === undefined || drafts.length < 2) return { service, generations };
  return { service, generations, rotation: { to: newest.kid, steps: stepsOf(newest, drafts) } };
}

/** Verifiers first, then signers; then the old generation ends. */
function stepsOf(newest: Draft, drafts: readonly Draft[]): RotationStep[] {
  const of = (which: 'signers' | 'verifiers') => new Set(drafts.flatMap((draft) => [...draft[which]]));
  const [signers, verifiers] = [of('signers'), of('verifiers')];
  const older = drafts.filter((draft) => draft !== newest);
  const ending = [...verifiers].filter((place) =>
    older.every((draft) => draft.notAfter !== undefined || !draft.verifiers.has(place)),
  );
  return [
    { name: 'staged', done: newest.verifiers.size, of: verifiers.size },
    { name: 'switched', done: newest.signers.size, of: signers.size },
    { name: 'retired', done: ending.length, of: verifiers.size },
  ];
}

function generationOf({ kid }: Draft): number {
  return splitKeyId(kid).generation;
}
