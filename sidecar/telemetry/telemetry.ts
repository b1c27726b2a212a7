import {
  type ELDHistogram,
  type EventLoopUtilization,
  monitorEventLoopDelay,
  performance,
} from 'node:perf_hooks';
import type { Logger } from 'pino';
import type { Feeds } from '../../signals/feeds.ts';
import { withoutTokens } from '../policy/path-template.ts';
import { type CallRecord, type Direction, outcomeOf } from '../terms/call-record.ts';
import type { HandshakeResult } from '../terms/handshake.ts';
import type { Reason } from '../terms/reasons.ts';
import { accessLine } from './access-line.ts';
import { callSpan, denialLog } from './call-signals.ts';
import { DenialLog } from './denial-log.ts';
import { type DenialEntry, denialEntry, Ring, type SignedEntry } from './denial-ring.ts';
import { detach } from './detach.ts';
import {
  durationBounds,
  type HistogramData,
  newHistogram,
  observe,
  overheadBounds,
  skewBounds,
} from './histogram.ts';
import { HopTable } from './hop-table.ts';
import { ObservedTable } from './observed-table.ts';
import { RouteTable } from './route-counts.ts';
import {
  denialsKept,
  type Gauges,
  type LoopSnapshot,
  signedKept,
  type TelemetrySnapshot,
} from './snapshot.ts';

/** The name of whoever is no fleet service, or proved nothing. */
export const unknownPeer = 'unknown';
const mostKids = 1000;

/** What is counted of one peer; the pair is [inbound, outbound]. */
interface Peer {
  readonly name: string;
  readonly routes: readonly [RouteTable, RouteTable];
  readonly firstByte: readonly [HistogramData, HistogramData];
  readonly overhead: readonly [HistogramData, HistogramData];
  readonly skew: HistogramData;
}
const loopResolutionMs = 20;

/** Sees a call that has ended. @param claimed what an unproven call says of itself @param nowMs since the epoch */
export type CallWatcher = (call: CallRecord, claimed: string | undefined, nowMs: number) => void;

export interface TelemetryOptions {
  readonly service: string;
  /** Names of the fleet's services: the only values of the label `peer`, beside `unknown`. */
  readonly peers: Iterable<string>;
  readonly logger: Logger;
  /** Read when somebody asks; never on the way of a call. */
  readonly gauges?: () => Gauges;
  /** Where spans, denials and the access log go; undefined when nothing is exported. */
  readonly feeds?: Feeds | undefined;
  /** 0 for the main thread. */
  readonly worker?: number;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/**
 * Counts, times and remembers calls. One per worker; `snapshot`s of several are merged when somebody asks.
 * Everything here is bounded, and `record` costs less than a microsecond for a call that is allowed.
 */
export class Telemetry {
  readonly #service: string;
  readonly #now: () => number;
  readonly #gauges: () => Gauges;
  readonly #worker: number;
  readonly #feeds: Feeds | undefined;
  readonly #observed = new ObservedTable();
  readonly #denials = new Ring<DenialEntry>(denialsKept);
  readonly #signed = new Ring<SignedEntry>(signedKept);
  readonly #log: DenialLog;
  readonly #peers = new Map<string, Peer>();
  readonly #unknown = newPeer(unknownPeer);
  readonly #keyUses = new Map<string, { count: number }>();
  readonly #connections: [number, number] = [0, 0];
  readonly #inFlight: [number, number] = [0, 0];
  readonly #hops = new HopTable();
  #watcher: CallWatcher | undefined = undefined;
  readonly #loop: ELDHistogram = monitorEventLoopDelay({ resolution: loopResolutionMs });
  readonly #loopStart: EventLoopUtilization = performance.eventLoopUtilization();

  constructor(options: TelemetryOptions) {
    this.#service = options.service;
    this.#now = options.now ?? Date.now;
    this.#gauges = options.gauges ?? (() => ({ replayEntries: 0, keyAges: [] }));
    this.#worker = options.worker ?? 0;
    this.#feeds = options.feeds;
    this.#log = new DenialLog(options.logger);
    this.setPeers(options.peers);
    this.#loop.enable();
  }

  /** After a reload of fleet.yaml: new services get counters of their own, old ones keep theirs. */
  setPeers(names: Iterable<string>): void {
    for (const name of names) if (!this.#peers.has(name)) this.#peers.set(name, newPeer(name));
  }

  /** Whether calls of sampled traces get a span. */
  get tracesCalls(): boolean {
    return this.#feeds?.traces !== undefined;
  }

  /** A call has begun; `callEnded` follows. Hot path. */
  callStarted(direction: Direction): void {
    this.#inFlight[direction === 'inbound' ? 0 : 1]++;
  }

  /** A call has ended. Hot path. */
  callEnded(call: CallRecord): void {
    this.#inFlight[call.direction === 'inbound' ? 0 : 1]--;
    this.record(call);
  }

  /** Counts a call, or what never became one, and keeps and logs it when it was denied. Hot path. */
  record(call: CallRecord): void {
    const inbound = call.direction === 'inbound';
    const name = inbound ? call.caller : call.callee;
    const peer = (name === undefined ? undefined : this.#peers.get(name)) ?? this.#unknown;
    const direction = inbound ? 0 : 1;
    const outcome = outcomeOf(call.verdict);
    peer.routes[direction].record(
      outcome,
      ruleOf(call),
      call.status,
      (call.endedAtMs - call.startedAtMs) / 1000,
      call.span,
    );
    observe(peer.overhead[direction], overheadBounds, call.overheadMs / 1000);
    if (call.firstByteAtMs !== undefined)
      observe(peer.firstByte[direction], durationBounds, (call.firstByteAtMs - call.startedAtMs) / 1000);
    if (call.caller !== undefined) {
      if (inbound && call.skewSeconds !== undefined) observe(peer.skew, skewBounds, call.skewSeconds);
      if (call.kid !== undefined) this.#countKey(call.kid);
    }
    const nowMs = this.#now();
    if (name !== undefined && peer !== this.#unknown) this.#hops.call(call, name, nowMs);
    const claimed = call.caller === undefined ? call.claimed : undefined;
    this.#observed.add(call, claimed, nowMs);
    if (outcome !== 0) this.#deny(call, claimed, nowMs);
    if (this.#feeds !== undefined) this.#export(this.#feeds, call, nowMs);
    if (this.#watcher !== undefined) this.#watcher(call, claimed, nowMs);
  }

  /** From now on `watcher` sees every call that ends; undefined for no one. */
  watchCalls(watcher: CallWatcher | undefined): void {
    this.#watcher = watcher;
  }

  /** A connection came (+1) or went (-1). */
  connections(direction: Direction, delta: 1 | -1): void {
    this.#connections[direction === 'inbound' ? 0 : 1] += delta;
  }

  /** A connection between sidecars came (+1) or went (-1). @param peer undefined unless proven */
  hopConnection(direction: Direction, peer: string | undefined, sealed: boolean, delta: 1 | -1): void {
    this.#hops.connection(direction, this.#nameOf(peer), sealed, delta);
  }

  /**
   * A TLS handshake between sidecars has ended.
   *
   * @param peer inbound: undefined unless proven; outbound: the callee
   * @param host outbound: the host that was dialled
   */
  handshake(
    direction: Direction,
    peer: string | undefined,
    host: string | undefined,
    result: HandshakeResult,
  ): void {
    this.#hops.handshake(direction, this.#nameOf(peer), host, result);
  }

  #nameOf(peer: string | undefined): string {
    return peer !== undefined && this.#peers.has(peer) ? peer : unknownPeer;
  }

  /** Outbound: keeps what was signed of a call that came back with a Countersign problem, for `countersign why`. */
  signedMismatch(signed: Omit<SignedEntry, 'timeMs'>): void {
    this.#signed.push({
      ...signed,
      requestId: detach(signed.requestId, 128),
      path: withoutTokens(detach(signed.path)),
      reason: detach(signed.reason, 64),
      timeMs: this.#now(),
    });
  }

  /** All that is known, as plain data. Its parts are live: clone before changing anything. */
  snapshot(): TelemetrySnapshot {
    return {
      service: this.#service,
      peers: [...this.#peers.values(), this.#unknown].map(
        ({ name, routes: [inbound, outbound], ...rest }) => {
          return { ...rest, peer: name, routes: [inbound.rows, outbound.rows] };
        },
      ),
      keyUses: [...this.#keyUses].map(([kid, { count }]) => [kid, count] as const),
      connections: [...this.#connections],
      inFlight: [...this.#inFlight],
      hops: this.#hops.rows(),
      hopCounts: this.#hops.counts(),
      rows: this.#observed.rows(),
      overflow: this.#observed.overflow,
      denials: this.#denials.newestFirst(),
      signed: this.#signed.newestFirst(),
      suppressedLogs: this.#log.suppressedTotal,
      gauges: this.#gauges(),
      signalsDropped: this.#feeds?.dropped,
      loops: [this.#loopSnapshot()],
    };
  }

  /** Writes the last summary of denials and stops watching the event loop. */
  close(): void {
    this.#log.flush();
    this.#loop.disable();
  }

  #countKey(kid: string): void {
    const uses = this.#keyUses.get(kid);
    if (uses !== undefined) uses.count++;
    else if (this.#keyUses.size < mostKids) this.#keyUses.set(detach(kid), { count: 1 });
  }

  #deny(call: CallRecord, claimed: string | undefined, nowMs: number): void {
    const { verdict } = call;
    let entry: DenialEntry;
    if ('refused' in verdict) entry = denialEntry(call, claimed, verdict.refused, verdict, nowMs);
    else if (!verdict.allowed)
      entry = denialEntry(call, claimed, verdict.denial.reason satisfies Reason, verdict.denial, nowMs);
    else return;
    this.#denials.push(entry);
    this.#log.log(entry);
    // What strangers can cause leaves half of the room to the rest.
    const logs = this.#feeds?.logs;
    if (logs?.hasRoom(call.caller === undefined ? 0.5 : 1)) logs.push(denialLog(entry, call.span));
  }

  #export({ traces, access }: Feeds, call: CallRecord, nowMs: number): void {
    if (call.span !== undefined && traces?.hasRoom()) traces.push(callSpan(call, call.span));
    if (access?.hasRoom()) access.push(accessLine(call, nowMs));
  }

  #loopSnapshot(): LoopSnapshot {
    // The histogram holds whole intervals; what exceeds the resolution is the delay.
    const seconds = (ns: number) => Math.max(0, ns / 1e9 - loopResolutionMs / 1000) || 0;
    return {
      worker: this.#worker,
      p50Seconds: seconds(this.#loop.percentile(50)),
      p99Seconds: seconds(this.#loop.percentile(99)),
      maxSeconds: seconds(this.#loop.max),
      utilization: performance.eventLoopUtilization(this.#loopStart).utilization,
    };
  }
}

function newPeer(name: string): Peer {
  return {
    name,
    routes: [new RouteTable(), new RouteTable()],
    firstByte: [newHistogram(durationBounds), newHistogram(durationBounds)],
    overhead: [newHistogram(overheadBounds), newHistogram(overheadBounds)],
    skew: newHistogram(skewBounds),
  };
}

/** The rule that allowed a call; '' for any other. */
function ruleOf({ verdict }: CallRecord): string {
  return 'refused' in verdict || !verdict.allowed ? '' : verdict.rule;
}
