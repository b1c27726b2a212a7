import { type RouteRow, type RoutesDocument, routes } from '../fleet-view/routes.ts';
import { unknownPeer } from '../telemetry/telemetry.ts';
import type { Reading } from './fleet-watch.ts';

const known = new WeakMap<Reading, RoutesDocument>();

/** The document of `countersign routes --json`. */
export function routesOf(reading: Reading): RoutesDocument {
  const found = known.get(reading);
  if (found !== undefined) return found;
  const document = routes(reading.previous, reading.current, reading.policy.matrix);
  known.set(reading, document);
  return document;
}

/** The rules of one edge, and where they stand. */
export interface EdgeRoutes {
  readonly routes: readonly (RouteRow & { readonly place?: string })[];
  /** Calls of the edge that no rule allows: what was denied, by method and path, the most frequent first. */
  readonly denied: readonly {
    readonly method: string;
    readonly path: string;
    readonly reason: string;
    readonly count: number;
    readonly last: string;
  }[];
}

const mostDenied = 50;

/** @param caller `unknown` for those that prove nothing: the public rules */
export function edgeRoutes(reading: Reading, caller: string, callee: string): EdgeRoutes {
  const who = caller === unknownPeer ? undefined : caller;
  const { source } = reading.policy;
  const section = who === undefined ? ['public'] : ['callers', who];
  const rows = routesOf(reading).routes.filter((row) => row.callee === callee && row.caller === who);
  const denied = reading.current.hosts
    .flatMap(({ observed }) => observed?.observations ?? [])
    .filter(
      (row) =>
        row.direction === 'inbound' &&
        row.verdict === 'denied' &&
        row.callee === callee &&
        row.caller === who,
    )
    .sort((a, b) => b.count - a.count)
    .slice(0, mostDenied);
  return {
    routes: rows.map((row, index) => {
      const { line } = source.place(['services', callee, ...section, index]);
      return { ...row, place: `${source.file}:${line}` };
    }),
    denied: denied.map(({ method, path, reason, count, last }) => ({ method, path, reason, count, last })),
  };
}
