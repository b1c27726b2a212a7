import type { CallRecord, Direction } from '../terms/call-record.ts';
import { type HandshakeFailure, type HandshakeResult, handshakeResults } from '../terms/handshake.ts';

/** Hosts that are told apart; the fleet's own come first, for only they are proven. */
const mostHops = 2000;

/** How often something happened, and when: milliseconds since the epoch, 0 for never. */
export interface Occurrences {
  readonly count: number;
  readonly first: number;
  readonly last: number;
}

const never: Occurrences = { count: 0, first: 0, last: 0 };

/** Calls between this host and one host of a peer, by how they travelled. */
export interface HopRow {
  readonly direction: Direction;
  readonly peer: string;
  /** As `Hop.host`. */
  readonly host: string;
  /** Inside TLS. */
  readonly sealed: Occurrences;
  /** Signed, in the clear. */
  readonly plain: Occurrences;
  /** Outbound: calls that met a host which did not prove the pair key. */
  readonly unproven: Occurrences;
  /** Why, the last time. */
  readonly failure: HandshakeFailure | undefined;
}

/** Connections that are open and handshakes that have ended, with one peer in one direction. */
export interface HopCounts {
  readonly direction: Direction;
  /** `unknown` unless proven. */
  readonly peer: string;
  readonly sealed: number;
  readonly plain: number;
  readonly handshakes: Readonly<Record<HandshakeResult, number>>;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type MutableCounts = Mutable<Omit<HopCounts, 'handshakes'>> & { handshakes: Record<HandshakeResult, number> };

/** Counts calls, connections and handshakes between sidecars. Bounded; `call` is on the way of every call. */
export class HopTable {
  readonly #rows = new Map<string, Map<string, Mutable<HopRow>>>();
  readonly #counts = new Map<string, MutableCounts>();
  #hosts = 0;

  /** Counts a call whose caller and callee are known. @param peer the service at the other end */
  call(call: CallRecord, peer: string, nowMs: number): void {
    const { hop, direction, verdict } = call;
    if (hop === undefined) return;
    const row = this.#row(direction, peer, hop.host);
    if (row === undefined) return;
    if ('allowed' in verdict && !verdict.allowed && verdict.denial.reason === 'peer-unproven')
      row.unproven = oneMore(row.unproven, nowMs);
    // A call that was refused for it has left on no connection.
    if (call.disposition === 'refused' && direction === 'outbound') return;
    if (hop.sealed) row.sealed = oneMore(row.sealed, nowMs);
    else row.plain = oneMore(row.plain, nowMs);
  }

  /** A handshake has ended. @param host undefined where nothing says whose host it is */
  handshake(direction: Direction, peer: string, host: string | undefined, result: HandshakeResult): void {
    this.#countsOf(direction, peer).handshakes[result]++;
    if (host === undefined || result === 'proven') return;
    const row = this.#row(direction, peer, host);
    if (row !== undefined) row.failure = result;
  }

  /** A connection came (+1) or went (-1). */
  connection(direction: Direction, peer: string, sealed: boolean, delta: 1 | -1): void {
    this.#countsOf(direction, peer)[sealed ? 'sealed' : 'plain'] += delta;
  }

  rows(): HopRow[] {
    return [...this.#rows.values()].flatMap((hosts) => [...hosts.values()]);
  }

  counts(): HopCounts[] {
    return [...this.#counts.values()];
  }

  #row(direction: Direction, peer: string, host: string): Mutable<HopRow> | undefined {
    const ofPeer = direction === 'inbound' ? `<${peer}` : `>${peer}`;
    const hosts = this.#rows.get(ofPeer);
    const known = hosts?.get(host);
    if (known !== undefined) return known;
    if (this.#hosts >= mostHops) return undefined;
    this.#hosts++;
    const row: Mutable<HopRow> = {
      ...{ direction, peer, host, sealed: never, plain: never, unproven: never, failure: undefined },
    };
    if (hosts === undefined) this.#rows.set(ofPeer, new Map([[host, row]]));
    else hosts.set(host, row);
    return row;
  }

  #countsOf(direction: Direction, peer: string): MutableCounts {
    const key = `${direction} ${peer}`;
    const known = this.#counts.get(key);
    if (known !== undefined) return known;
    const handshakes = Object.fromEntries(handshakeResults.map((result) => [result, 0]));
    const counts = { direction, peer, sealed: 0, plain: 0, handshakes } as MutableCounts;
    this.#counts.set(key, counts);
    return counts;
  }
}

function oneMore({ count, first }: Occurrences, nowMs: number): Occurrences {
  return { count: count + 1, first: count === 0 ? nowMs : first, last: nowMs };
}

/** What makes two rows the same hop. */
export function hopKey({ direction, peer, host }: HopRow): string {
  return `${direction}\n${peer}\n${host}`;
}

/** Adds rows of the same hop up. */
export function addHops(rows: readonly HopRow[]): HopRow[] {
  const added = new Map<string, HopRow>();
  for (const row of rows) {
    const key = hopKey(row);
    const other = added.get(key);
    added.set(key, other === undefined ? row : addRows(other, row));
  }
  return [...added.values()];
}

function addRows(one: HopRow, two: HopRow): HopRow {
  const newer = two.unproven.last >= one.unproven.last ? two : one;
  return {
    ...one,
    sealed: addOccurrences(one.sealed, two.sealed),
    plain: addOccurrences(one.plain, two.plain),
    unproven: addOccurrences(one.unproven, two.unproven),
    failure: newer.failure ?? one.failure ?? two.failure,
  };
}

function addOccurrences(one: Occurrences, two: Occurrences): Occurrences {
  if (one.count === 0) return two;
  if (two.count === 0) return one;
  const count = one.count + two.count;
  return { count, first: Math.min(one.first, two.first), last: Math.max(one.last, two.last) };
}

/** The calls that `now` counts beyond `then`. */
export function subtractHops(now: readonly HopRow[], then: readonly HopRow[]): HopRow[] {
  const before = new Map(then.map((row) => [hopKey(row), row]));
  const less = (one: Occurrences, two: Occurrences = never): Occurrences =>
    one.count > two.count
      ? { ...one, count: one.count - two.count, first: Math.max(one.first, two.last) }
      : never;
  return now.map((row) => {
    const other = before.get(hopKey(row));
    return {
      ...row,
      sealed: less(row.sealed, other?.sealed),
      plain: less(row.plain, other?.plain),
      unproven: less(row.unproven, other?.unproven),
    };
  });
}

/** Adds the counts of several workers up. */
export function mergeHopCounts(counts: readonly HopCounts[]): HopCounts[] {
  const merged = new Map<string, MutableCounts>();
  for (const each of counts) {
    const key = `${each.direction} ${each.peer}`;
    const into = merged.get(key);
    if (into === undefined) {
      merged.set(key, { ...each, handshakes: { ...each.handshakes } });
      continue;
    }
    into.sealed += each.sealed;
    into.plain += each.plain;
    for (const result of handshakeResults) into.handshakes[result] += each.handshakes[result];
  }
  return [...merged.values()];
}
