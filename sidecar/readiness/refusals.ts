import type { Matrix } from '../policy/matrix.ts';
import { pathTemplate } from '../policy/path-template.ts';
import type { DenialDocument, HostState, Observation } from '../telemetry/documents.ts';
import { type Reason, reasons } from '../terms/reasons.ts';
import type { Intended } from './intended.ts';
import { rejudge } from './rejudge.ts';

/** Calls of one kind that the enforcing binary would refuse. */
export interface Refusals {
  readonly caller?: string;
  readonly claimed?: string;
  readonly callee: string;
  readonly method: string;
  readonly path: string;
  readonly reason: string;
  readonly detail: string;
  readonly rule?: string;
  readonly count: number;
  readonly first: string;
  readonly last: string;
  /** `intended`: a file says that they may be refused. `settled`: the last one is longer ago than the report looks back. */
  readonly state: 'unexplained' | 'intended' | 'settled';
  /** Why they may be refused, in the words of that file. */
  readonly why?: string;
}

export interface Replayed {
  readonly refusals: Refusals[];
  /** Calls that were denied when they were made, and that the matrix allows by now. */
  readonly mended: number;
}

/**
 * Replays what was recorded through the verdict core, with the matrix that is to be enforced.
 *
 * @param since milliseconds since the epoch: what was last seen before then is settled
 */
export function replay(
  rows: readonly Observation[],
  states: readonly HostState[],
  matrix: Matrix,
  intended: readonly Intended[],
  sinceMs: number,
): Replayed {
  const denials = states.flatMap((state) => state.denials?.denials ?? []);
  const refusals: Refusals[] = [];
  let mended = 0;
  for (const row of rows) {
    const judged = rejudge(row, matrix.of(row.callee));
    if (judged === undefined) continue;
    if (judged.allowed) {
      if (row.verdict === 'denied') mended += row.count;
      continue;
    }
    const { reason, rule, detail } = judged.denial;
    const purpose = intended.find((each) => isMeant(each, row, reason));
    const settled = Date.parse(row.last) < sinceMs;
    refusals.push({
      ...(row.caller === undefined ? {} : { caller: row.caller }),
      ...(row.claimed === undefined ? {} : { claimed: row.claimed }),
      callee: row.callee,
      method: row.method,
      path: row.path,
      reason,
      detail: detail ?? detailOf(row, reason, denials),
      ...(rule === undefined ? {} : { rule }),
      count: row.count,
      first: row.first,
      last: row.last,
      state: purpose !== undefined ? 'intended' : settled ? 'settled' : 'unexplained',
      ...(purpose === undefined ? {} : { why: purpose.why }),
    });
  }
  const order = { unexplained: 0, intended: 1, settled: 2 };
  refusals.sort((a, b) => order[a.state] - order[b.state] || b.count - a.count);
  return { refusals, mended };
}

function isMeant(intended: Intended, row: Observation, reason: Reason): boolean {
  return (
    intended.callee === row.callee &&
    intended.caller === row.caller &&
    (intended.reason === undefined || intended.reason === reason) &&
    intended.matches(row.method, row.example ?? row.path)
  );
}

/** What the newest denial of the same kind said. */
function detailOf(row: Observation, reason: Reason, denials: readonly DenialDocument[]): string {
  const denial = denials.find(
    (each) =>
      each.reason === reason &&
      each.callee === row.callee &&
      each.caller === row.caller &&
      each.claimed === row.claimed &&
      each.method === row.method &&
      pathTemplate(each.path) === row.path,
  );
  return denial?.detail ?? `${reasons[reason].title}.`;
}
