import { pathTemplate, withoutTokens } from '../policy/path-template.ts';
import { type CallRecord, type Direction, outcomeOf, reasonAt } from '../terms/call-record.ts';
import type { Reason } from '../terms/reasons.ts';
import { detach, detachText } from './detach.ts';

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
  /** The first path that was seen, without what may be secrets, to judge the row anew by another matrix. */
  readonly example: string;
  readonly verdict: 'allowed' | 'denied';
  readonly reason: Reason | '';
  count: number;
  readonly first: number;
  last: number;
}

/** Most rows of one caller to one callee, and of all that proved nothing: nobody can crowd out anybody else. */
export const mostRowsPerPair = 500;
const longestPath = 1024;
const mostRows = 5000;
const perGeneration = 4096;
const recentRows = 8;

interface Route {
  readonly template: string;
  /** Rows that calls on this route lately belonged to: most calls repeat one of them. */
  readonly recent: ObservedRow[];
  next: number;
}

/** What was called by whom, with which outcome: bounded, for `report`, `matrix suggest` and the gate. */
export class ObservedTable {
  readonly #rows = new Map<string, ObservedRow>();
  readonly #rowsOfPair = new Map<string, number>();
  readonly #routeOfPath = new RecentMap<Route>();
  readonly #routes = new RecentMap<Route>();
  /** Calls that found no room for a row of their own. */
  overflow = 0;

  /** Hot path: one map lookup and a short search when the call repeats one on its path. */
  add(call: CallRecord, claimed: string | undefined, nowMs: number): void {
    const route = this.#route(call.path);
    const reason = reasonAt(outcomeOf(call.verdict));
    const row = recentRow(route, call, claimed, reason) ?? this.#row(route, call, claimed, reason, nowMs);
    if (row === undefined) {
      this.overflow++;
      return;
    }
    row.count++;
    row.last = nowMs;
  }

  rows(): ObservedRow[] {
    return [...this.#rows.values()];
  }

  #route(path: string): Route {
    const known = this.#routeOfPath.get(path);
    if (known !== undefined) return known;
    const own = detach(path, longestPath);
    const template = pathTemplate(own);
    let route = this.#routes.get(template);
    if (route === undefined) {
      route = { template: detachText(template), recent: [], next: 0 };
      this.#routes.set(route.template, route);
    }
    this.#routeOfPath.set(own, route);
    return route;
  }

  #row(
    route: Route,
    call: CallRecord,
    claimed: string | undefined,
    reason: Reason | '',
    nowMs: number,
  ): ObservedRow | undefined {
    const key = rowKey({ ...call, claimed, path: route.template, reason });
    const row = this.#rows.get(key) ?? this.#newRow(route, call, claimed, reason, nowMs);
    if (row === undefined) return undefined;
    this.#rows.set(key, row);
    route.recent[route.next] = row;
    route.next = (route.next + 1) % recentRows;
    return row;
  }

  #newRow(
    route: Route,
    call: CallRecord,
    claimed: string | undefined,
    reason: Reason | '',
    nowMs: number,
  ): ObservedRow | undefined {
    const { direction, caller, callee, method } = call;
    const verdict = reason === '' ? 'allowed' : 'denied';
    // An app that calls made-up names fills no more than strangers may.
    const nobody = caller === undefined || reason === 'unknown-callee';
    const pair = nobody ? `unproven ${verdict}` : `${direction} ${caller} ${callee}`;
    const ofPair = this.#rowsOfPair.get(pair) ?? 0;
    if (ofPair >= mostRowsPerPair || this.#rows.size >= mostRows) return undefined;
    this.#rowsOfPair.set(pair, ofPair + 1);
    return {
      direction,
      ...(caller === undefined ? {} : { caller: detach(caller) }),
      ...(claimed === undefined ? {} : { claimed: detach(claimed) }),
      callee: detach(callee),
      method: detach(method),
      path: route.template,
      example: withoutTokens(detach(call.path)),
      verdict,
      reason,
      count: 0,
      first: nowMs,
      last: nowMs,
    };
  }
}

function recentRow(
  route: Route,
  call: CallRecord,
  claimed: string | undefined,
  reason: Reason | '',
): ObservedRow | undefined {
  for (const row of route.recent) {
    if (
      row.reason === reason &&
      row.caller === call.caller &&
      row.claimed === claimed &&
      row.callee === call.callee &&
      row.method === call.method &&
      row.direction === call.direction
    )
      return row;
  }
  return undefined;
}

/** A map that forgets what was not asked for lately: a full generation pushes out the one before. */
class RecentMap<Value> {
  #young = new Map<string, Value>();
  #old = new Map<string, Value>();

  get(key: string): Value | undefined {
    return this.#young.get(key) ?? this.#old.get(key);
  }

  set(key: string, value: Value): void {
    if (this.#young.size >= perGeneration) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
  }
}

/** What makes two calls the same kind of call, as one text. */
export function rowKey(row: {
  readonly direction: string;
  readonly caller?: string | undefined;
  readonly claimed?: string | undefined;
  readonly callee: string;
  readonly method: string;
  readonly path: string;
  readonly reason: string;
}): string {
  const { direction, caller, claimed, callee, method, path, reason } = row;
  return `${direction}\n${caller ?? ''}\n${claimed ?? ''}\n${callee}\n${method}\n${reason}\n${path}`;
}
