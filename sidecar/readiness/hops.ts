import type { Fleet } from '../config/fleet.ts';
import type { HostState, Observation } from '../telemetry/documents.ts';
import type { ObservedHop } from '../telemetry/hop-documents.ts';
import { type HandshakeFailure, handshakeFailures } from '../terms/handshake.ts';

/** How far back a plain or unproven call stands in the way. */
export const hopWindowMs = 24 * 3600 * 1000;

/** Why a hop is not ready for enforcing, which sends nothing in the clear. */
export type HopProblem =
  /** No call came sealed. */
  | 'never-sealed'
  /** Signed calls came in the clear, before the first sealed one or beside it. */
  | 'plain'
  /** Signed calls came in the clear after sealed ones: interference, or a callee that went back to 0.1. */
  | 'sealed-then-plain'
  /** The callee's host did not prove the pair key. */
  | 'peer-unproven';

/** The calls from one host of a caller to one host of a callee, as both ends saw them. */
export interface PairHop {
  readonly caller: string;
  readonly caller_host: string;
  readonly callee: string;
  readonly callee_host: string;
  readonly sealed: number;
  readonly plain: number;
  readonly unproven: number;
  readonly problem?: HopProblem;
  /** What to do about it. */
  readonly detail?: string;
}

interface Seen {
  count: number;
  firstMs: number;
  lastMs: number;
}

interface Draft {
  readonly pair: Pick<PairHop, 'caller' | 'caller_host' | 'callee' | 'callee_host'>;
  readonly sealed: Seen;
  readonly plain: Seen;
  readonly unproven: Seen;
  failure: string | undefined;
}

const anyHost = 'any host';

/**
 * The hops that were seen in the last 24 hours, from both ends. Ready needs at least one sealed call, and no plain
 * signed one and no unproven peer in that time.
 */
export function pairHops(states: readonly HostState[], fleet: Fleet, nowMs: number): PairHop[] {
  const drafts = new Map<string, Draft>();
  for (const { status, observed } of states) {
    if (status === undefined || observed === undefined) continue;
    for (const hop of observed.hops) {
      const here = { service: status.service, host: status.host };
      const draft = draftOf(drafts, hop, here);
      // Both ends count the same calls: the one that saw more is right.
      merge(draft.sealed, hop.sealed);
      merge(draft.plain, hop.plain);
      merge(draft.unproven, hop.unproven);
      draft.failure ??= hop.failure;
    }
  }
  const sinceMs = nowMs - hopWindowMs;
  const hops = [...drafts.values()]
    .filter(
      ({ sealed, plain, unproven }) => Math.max(sealed.lastMs, plain.lastMs, unproven.lastMs) >= sinceMs,
    )
    .map((draft) => judge(draft, sinceMs));
  return [...hops, ...withoutHops(states, hops, fleet, sinceMs)];
}

function draftOf(
  drafts: Map<string, Draft>,
  { direction, peer, host }: ObservedHop,
  here: { readonly service: string; readonly host: string },
): Draft {
  const there = { service: peer, host };
  const [caller, callee] = direction === 'outbound' ? [here, there] : [there, here];
  const key = `${caller.service} ${caller.host} ${callee.service} ${callee.host}`;
  const known = drafts.get(key);
  if (known !== undefined) return known;
  const unseen = (): Seen => ({ count: 0, firstMs: Number.POSITIVE_INFINITY, lastMs: 0 });
  const draft: Draft = {
    pair: {
      caller: caller.service,
      caller_host: caller.host,
      callee: callee.service,
      callee_host: callee.host,
    },
    sealed: unseen(),
    plain: unseen(),
    unproven: unseen(),
    failure: undefined,
  };
  drafts.set(key, draft);
  return draft;
}

function merge(seen: Seen, found: ObservedHop['sealed']): void {
  if (found === undefined) return;
  seen.count = Math.max(seen.count, found.count);
  seen.firstMs = Math.min(seen.firstMs, Date.parse(found.first));
  seen.lastMs = Math.max(seen.lastMs, Date.parse(found.last));
}

function judge({ pair, sealed, plain, unproven, failure }: Draft, sinceMs: number): PairHop {
  const counts = { sealed: sealed.count, plain: plain.count, unproven: unproven.count };
  const hop = (problem: HopProblem, detail: string): PairHop => ({ ...pair, ...counts, problem, detail });
  if (plain.lastMs >= sinceMs && plain.lastMs > sealed.firstMs) {
    return hop(
      'sealed-then-plain',
      `calls went in the clear after sealed ones, last at ${timeOf(plain)}: something on the way interferes, or the callee went back to 0.1${because(failure)}`,
    );
  }
  if (unproven.lastMs >= sinceMs)
    return hop(
      'peer-unproven',
      `the callee did not prove the pair key, last at ${timeOf(unproven)}${because(failure)}`,
    );
  if (plain.lastMs >= sinceMs)
    return hop(
      'plain',
      `signed calls came in the clear, last at ${timeOf(plain)}: expected through both sidecars`,
    );
  if (sealed.lastMs < sinceMs) return hop('never-sealed', 'no call of the last 24 hours was sealed');
  return { ...pair, ...counts };
}

function because(failure: string | undefined): string {
  if (failure === undefined || !Object.hasOwn(handshakeFailures, failure)) return '';
  return `: ${handshakeFailures[failure as HandshakeFailure]}`;
}

const timeOf = ({ lastMs }: Seen) => new Date(lastMs).toISOString();

/** Pairs whose calls were proven while nothing tells how they travelled: one end is a sidecar of version 0.1. */
function withoutHops(
  states: readonly HostState[],
  hops: readonly PairHop[],
  fleet: Fleet,
  sinceMs: number,
): PairHop[] {
  const found = new Map<string, PairHop>();
  const rows = states.flatMap(({ observed }) => observed?.observations ?? []);
  for (const row of rows.filter((each) => isProven(each, sinceMs))) {
    const { caller, callee } = row as { caller: string; callee: string };
    if (!fleet.services.has(caller) || hops.some((hop) => hop.caller === caller && hop.callee === callee))
      continue;
    const pair = { caller, caller_host: anyHost, callee, callee_host: anyHost };
    const detail = 'no call of the last 24 hours was sealed; sidecars of version 0.1 do not seal';
    found.set(`${caller} ${callee}`, {
      ...pair,
      sealed: 0,
      plain: 0,
      unproven: 0,
      problem: 'never-sealed',
      detail,
    });
  }
  return [...found.values()];
}

function isProven(row: Observation, sinceMs: number): boolean {
  return (
    row.direction === 'inbound' &&
    row.caller !== undefined &&
    row.verdict === 'allowed' &&
    Date.parse(row.last) >= sinceMs
  );
}

/** A hop's problem as a reason why the fleet is not ready. */
export function hopBlocker({
  caller,
  caller_host,
  callee,
  callee_host,
  problem,
  detail,
}: PairHop): string | undefined {
  if (problem === undefined) return undefined;
  return `${caller} on ${caller_host} to ${callee} on ${callee_host} is not sealed (${problem}): ${detail}`;
}
