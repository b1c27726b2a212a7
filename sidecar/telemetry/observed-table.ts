import { pathTemplate } from '../policy/path-template.ts';
import { type CallRecord, type Direction, outcomeOf, reasonAt } from './call-record.ts';
import { detach } from './detach.ts';

/** Calls of one kind, counted; times in milliseconds since the epoch. */
export interface ObservedRow {
  readonly direction: Direction;
  /** Proven by its MAC (inbound) or the local service (outbound). */
  readonly caller?: string;
  readonly claimed?: string;
  readonly callee: string;
  readonly method: string;
  /** A template: ids are folded to `*`. */
  readonly path: string;
  /** The first raw path that was seen, to judge the row anew by another matrix. */
  readonly example: string;
  readonly verdict: 'allowed' | 'denied';
  readonly reason: string;
  count: number;
  readonly first: number;
  last: number;
}

/** Most rows of one caller, proven or not, to one callee: nobody can crowd out anybody else. */
export const mostRowsPerPair = 1000;
/** Most rows of all callers that proved nothing, whatever they claim. */
export const mostUnprovenRows = 1000;
const mostRows = 20_000;
const pathsPerGeneration = 4096;

interface KnownPath {
  readonly path: string;
  readonly template: string;
  /** The row that the last call on this path belonged to: most calls repeat it. */
  row: ObservedRow | undefined;
  outcome: number;
}

/** What was called by whom, with which outcome: bounded, for `report`, `matrix suggest` and the gate. */
export class ObservedTable {
  readonly #rows = new Map<string, ObservedRow>();
  readonly #rowsOfPair = new Map<string, number>();
  #paths = new Map<string, KnownPath>();
  #olderPaths = new Map<string, KnownPath>();
  /** Calls that found no room for a row of their own. */
  overflow = 0;

  /** Hot path: one map lookup when the call repeats the last one on its path. */
  add(call: CallRecord, claimed: string | undefined, nowMs: number): void {
    const known = this.#known(call.path);
    const outcome = outcomeOf(call.verdict);
    let row = known.row;
    if (
      row === undefined ||
      known.outcome !== outcome ||
      row.caller !== call.caller ||
      row.claimed !== claimed ||
      row.callee !== call.callee ||
      row.direction !== call.direction ||
      row.method !== call.method
    ) {
      row = this.#row(call, claimed, known, outcome, nowMs);
      if (row === undefined) {
        this.overflow++;
        return;
      }
      known.row = row;
      known.outcome = outcome;
    }
    row.count++;
    row.last = nowMs;
  }

  rows(): ObservedRow[] {
    return [...this.#rows.values()];
  }

  #known(path: string): KnownPath {
    let known = this.#paths.get(path);
    if (known !== undefined) return known;
    known = this.#olderPaths.get(path);
    if (known === undefined) {
      const own = detach(path, 4096);
      known = { path: own, template: detach(pathTemplate(own)), row: undefined, outcome: -1 };
    }
    if (this.#paths.size >= pathsPerGeneration) {
      this.#olderPaths = this.#paths;
      this.#paths = new Map();
    }
    this.#paths.set(known.path, known);
    return known;
  }

  #row(
    call: CallRecord,
    claimed: string | undefined,
    known: KnownPath,
    outcome: number,
    nowMs: number,
  ): ObservedRow | undefined {
    const { direction, caller, callee, method } = call;
    const key = rowKey(direction, caller, claimed, callee, method, known.template, reasonAt(outcome));
    const found = this.#rows.get(key);
    if (found !== undefined) return found;

    const pair = caller === undefined ? `unproven ${outcome === 0}` : `${direction} ${caller} ${callee}`;
    const ofPair = this.#rowsOfPair.get(pair) ?? 0;
    const most = caller === undefined ? mostUnprovenRows : mostRowsPerPair;
    if (ofPair >= most || this.#rows.size >= mostRows) return undefined;
    this.#rowsOfPair.set(pair, ofPair + 1);

    const row: ObservedRow = {
      direction,
      ...(caller === undefined ? {} : { caller: detach(caller) }),
      ...(claimed === undefined ? {} : { claimed: detach(claimed, 64) }),
      callee: detach(callee),
      method: detach(method, 64),
      path: known.template,
      example: detach(known.path),
      verdict: outcome === 0 ? 'allowed' : 'denied',
      reason: reasonAt(outcome),
      count: 0,
      first: nowMs,
      last: nowMs,
    };
    this.#rows.set(key, row);
    return row;
  }
}

/** What makes two calls the same kind of call. */
export function rowKey(
  direction: string,
  caller: string | undefined,
  claimed: string | undefined,
  callee: string,
  method: string,
  template: string,
  reason: string,
): string {
  return `${direction}\n${caller ?? ''}\n${claimed ?? ''}\n${callee}\n${method}\n${reason}\n${template}`;
}
