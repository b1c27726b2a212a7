import { hosts } from '../fleet-view/hosts.ts';
import { explainCall } from '../matrix-tools/explain.ts';
import { callPage, denialsPage } from './denials-page.ts';
import { fleetPage } from './fleet-page.ts';
import type { Reading } from './fleet-watch.ts';
import { edgesOf, focus } from './focus.ts';
import { keysPage } from './keys-page.ts';
import { matrixPage } from './matrix-page.ts';
import { readinessPage } from './readiness-page.ts';
import { rolloutPage } from './rollout-page.ts';
import { edgeRoutes, routesOf } from './route-list.ts';

/** A question that cannot be answered: 400, or 404 for what is not there. */
export class QueryError extends Error {
  readonly code = 'bad-query';
  readonly status: 400 | 404;
  constructor(status: 400 | 404, message: string) {
    super(message);
    this.name = 'QueryError';
    this.status = status;
  }
}

type Document = (reading: Reading, query: URLSearchParams) => object;

/**
 * What `/api/NAME` answers. `hosts`, `edges` and `routes` are the documents that the command line prints with `--json`; the others
 * are what one page shows.
 */
export const documents: Readonly<Record<string, Document>> = {
  fleet: fleetPage,
  graph: (reading, query) => focus(reading, query.get('service') ?? undefined),
  matrix: (reading, query) => matrixPage(reading, query.get('service') ?? undefined),
  denials: denialsPage,
  readiness: readinessPage,
  keys: keysPage,
  rollout: rolloutPage,
  hosts: ({ previous, current, policy }) => hosts(previous, current, policy.fleet),
  edges: edgesOf,
  routes: routesOf,
  edge: (reading, query) => edgeRoutes(reading, demanded(query, 'caller'), demanded(query, 'callee')),
  explain: ({ policy }, query) => {
    const path = demanded(query, 'path');
    if (!path.startsWith('/'))
      throw new QueryError(400, 'path: expected one that starts with /, such as /api/status/7');
    const caller = query.get('caller') ?? '';
    return explainCall(policy, {
      caller: caller === '' || caller === '-' ? undefined : caller,
      method: demanded(query, 'method'),
      callee: demanded(query, 'callee'),
      path: path.replace(/\?.*/s, ''),
    });
  },
  call: (reading, query) => {
    const found = callPage(reading, demanded(query, 'id'));
    if (found === undefined)
      throw new QueryError(404, 'No sidecar knows this call any more; each keeps its newest 1,000 denials.');
    return found;
  },
};

function demanded(query: URLSearchParams, name: string): string {
  const value = query.get(name);
  if (value === null || value === '') throw new QueryError(400, `${name}: found nothing, expected a value`);
  return value;
}
