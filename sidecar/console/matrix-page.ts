import type { EdgeState } from '../fleet-view/edges.ts';
import { callsOf } from '../matrix-tools/calls-of.ts';
import { proposalsYaml } from '../matrix-tools/edit.ts';
import { type Proposal, suggest, type Withheld } from '../matrix-tools/suggest.ts';
import { unknownPeer } from '../telemetry/telemetry.ts';
import type { Reading } from './fleet-watch.ts';
import { focus } from './focus.ts';
import { routesOf } from './route-list.ts';

/** One field of the grid. */
export interface MatrixCell {
  /** `unknown` for those that prove nothing. */
  readonly caller: string;
  readonly callee: string;
  readonly state: EdgeState;
  readonly rules: number;
  readonly used: number;
  readonly denied: number;
}

/** Page 3: who may call whom, what is used of it, and what is missing. */
export interface MatrixPage {
  readonly file: string;
  readonly services: readonly string[];
  readonly around?: string;
  readonly cells: readonly MatrixCell[];
  readonly cells_total: number;
  readonly rules: number;
  readonly rules_unused: number;
  /** What `countersign matrix suggest` proposes. */
  readonly proposals: readonly Proposal[];
  readonly withheld: readonly Withheld[];
  /** The proposals as they would stand in the file. */
  readonly yaml: string;
}

const mostWithheld = 100;

export function matrixPage(reading: Reading, wanted: string | undefined): MatrixPage {
  const { services, around, edges, edges_total } = focus(reading, wanted);
  const { matrix, fleet, file } = reading.policy;
  const { routes } = routesOf(reading);
  const used = new Map<string, number>();
  for (const { caller = unknownPeer, callee, never_used } of routes)
    if (!never_used) used.set(`${caller} ${callee}`, (used.get(`${caller} ${callee}`) ?? 0) + 1);
  const { proposals, withheld } = suggest(reading.current.hosts.flatMap(callsOf), matrix, fleet);
  return {
    file,
    services,
    ...(around !== undefined && { around }),
    cells: edges.map(({ caller, callee, state, rules, denied }) => ({
      caller,
      callee,
      state,
      rules,
      used: used.get(`${caller} ${callee}`) ?? 0,
      denied,
    })),
    cells_total: edges_total,
    rules: routes.length,
    rules_unused: routes.filter(({ never_used }) => never_used).length,
    proposals,
    withheld: withheld.slice(0, mostWithheld),
    yaml: proposals.length === 0 ? '' : proposalsYaml(proposals),
  };
}
