import { type Edge, type EdgesDocument, edges } from '../fleet-view/edges.ts';
import { unknownPeer } from '../telemetry/telemetry.ts';
import type { Reading } from './fleet-watch.ts';

/** Edges and services that a page shows beside each other: more would be slow to lay out, and nobody would see anything. */
const mostEdges = 150;
const mostServices = 40;

/** A part of the fleet that fits on a screen. */
export interface Focus {
  readonly taken_at: string;
  /** Every service of the fleet and the matrix, by name. */
  readonly services: readonly string[];
  /** The service in the middle; absent when the whole fleet is shown. */
  readonly around?: string;
  readonly edges: readonly Edge[];
  /** Edges of the whole fleet; those that are not shown have to be looked for by a service. */
  readonly edges_total: number;
}

const known = new WeakMap<Reading, EdgesDocument>();

/** The document of `countersign edges --json`. */
export function edgesOf(reading: Reading): EdgesDocument {
  const found = known.get(reading);
  if (found !== undefined) return found;
  const document = edges(reading.previous, reading.current, reading.policy.matrix);
  known.set(reading, document);
  return document;
}

/**
 * The edges of the whole fleet where they fit on a screen, else those of one service: the one asked for, or the one with the most
 * calls. What was denied comes first.
 */
export function focus(reading: Reading, wanted: string | undefined): Focus {
  const { taken_at, edges: all } = edgesOf(reading);
  const { fleet, matrix } = reading.policy;
  const services = [...new Set([...fleet.services.keys(), ...matrix.services.keys()])].sort();
  const fits = all.length <= mostEdges && services.length <= mostServices;
  const around = wanted !== undefined && services.includes(wanted) ? wanted : fits ? undefined : busiest(all);
  const near =
    around === undefined ? all : all.filter(({ caller, callee }) => caller === around || callee === around);
  return {
    taken_at,
    services,
    ...(around !== undefined && { around }),
    edges: near.length <= mostEdges ? near : near.toSorted(byInterest).slice(0, mostEdges),
    edges_total: all.length,
  };
}

function byInterest(a: Edge, b: Edge): number {
  const rank = ({ state, denied }: Edge) => (state === 'not-permitted' ? 2 : denied > 0 ? 1 : 0);
  return rank(b) - rank(a) || b.allowed + b.denied - (a.allowed + a.denied);
}

function busiest(all: readonly Edge[]): string | undefined {
  const calls = new Map<string, number>();
  for (const { caller, callee, allowed, denied } of all)
    for (const name of [caller, callee])
      if (name !== unknownPeer) calls.set(name, (calls.get(name) ?? 0) + allowed + denied + 1);
  let most: string | undefined;
  for (const [name, count] of calls) if (most === undefined || count > (calls.get(most) ?? 0)) most = name;
  return most;
}
