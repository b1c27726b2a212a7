import { setTimeout as delay } from 'node:timers/promises';
import { PeerFailed, type Window } from './load/generators.ts';
import type { Latencies } from './load/latencies.ts';
import { type Call, usualCall } from './load/signer.ts';
import type { Peer, RunningPeer } from './peers/peer.ts';
import { type CpuTime, cpuTime, machineCpuTime, ProcessEnded } from './processes.ts';
import type { Stage } from './stage.ts';

/** What one run of one peer gave. Times in microseconds. */
export interface Sample {
  readonly requests: number;
  readonly bad: number;
  readonly perSecond: number;
  /** CPU of the measured processes for each request, and how much of it in user mode. */
  readonly cpu: number;
  readonly userCpu: number;
  /** Share of one core that the measured processes used. */
  readonly busy: number;
  /** The same of the load generators: what is near 1 limits the result. */
  readonly generatorBusy: number;
  /** Cores that other processes, and other guests of the host, used meanwhile. */
  readonly others: number;
  /** Bytes a second in either direction, heads and all. */
  readonly receivedPerSecond: number;
  readonly sentPerSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

export interface MeasureOptions {
  readonly call?: Call;
  readonly connections?: number;
  /** Requests a second; 0: as fast as it answers. */
  readonly perSecond?: number;
  readonly warmMs: number;
  readonly ms: number;
  /** A run with fewer requests than this goes on for a while; 50 when left out. */
  readonly fewest?: number;
  /** Given the latencies of the run, for a plot. */
  readonly onLatencies?: (latencies: Latencies) => void;
}

export const usualConnections = 64;
const fewestRequests = 50;
const mostExtensions = 10;
/** Requests a second that each peer served last time: as many heads are signed ahead of the next run, and some. */
const rates = new WeakMap<RunningPeer, number>();
const firstRate = 20_000;
const preparedShare = 1.15;

/**
 * Loads a running peer for a while and accounts for it; the first `warmMs` do not count.
 *
 * @throws {PeerFailed} when it ends, answers nothing, or refuses most of what it is sent
 */
export async function measure(
  stage: Stage,
  peer: Peer,
  running: RunningPeer,
  options: MeasureOptions,
): Promise<Sample> {
  try {
    return await run(stage, peer, running, options);
  } catch (error) {
    if (!(error instanceof ProcessEnded || error instanceof PeerFailed)) throw error;
    await stage.generators.close();
    throw new PeerFailed(error instanceof ProcessEnded ? 'its process has ended' : error.message, peer.id);
  }
}

async function run(stage: Stage, peer: Peer, running: RunningPeer, options: MeasureOptions): Promise<Sample> {
  const { generators, identity } = stage;
  const { perSecond = 0 } = options;
  const seconds = (options.warmMs + options.ms) / 1000;
  await generators.open({
    port: running.port,
    dialect: peer.dialect,
    identity,
    call: options.call ?? usualCall,
    connections: options.connections ?? usualConnections,
    perSecond,
    prepared: Math.ceil(
      preparedShare * seconds * (perSecond > 0 ? perSecond : (rates.get(running) ?? firstRate)),
    ),
  });
  await delay(options.warmMs);
  await generators.report();
  const startMs = performance.now();
  const before = cpuTime(running.pids);
  const ours = [process.pid, stage.upstreamPid, ...generators.pids, ...running.pids];
  const generatorBefore = cpuTime(generators.pids);
  const oursBefore = sum(cpuTime(ours));
  const machineBefore = machineCpuTime();
  await delay(options.ms);
  let window = await generators.report();
  // A machine that is busy with other things can leave too little to speak of.
  for (let i = 0; i < mostExtensions && window.requests < (options.fewest ?? fewestRequests); i++) {
    await delay(options.ms);
    window = together(window, await generators.report());
  }
  const after = cpuTime(running.pids);
  const { requests, bad } = window;
  if (requests === 0)
    throw new PeerFailed(`answered nothing${bad === 0 ? '' : `, and ${bad} connections broke`}`);
  if (bad > requests / 2) throw new PeerFailed(`${bad} of ${requests} answers were not 2xx`);
  const generatorAfter = cpuTime(generators.pids);
  const took = (performance.now() - startMs) / 1000;
  const others = machineCpuTime() - machineBefore - (sum(cpuTime(ours)) - oursBefore);
  await generators.close();
  rates.set(running, window.requests / took);
  options.onLatencies?.(window.latencies);
  const user = after.user - before.user;
  const system = after.system - before.system;
  const generator =
    generatorAfter.user + generatorAfter.system - generatorBefore.user - generatorBefore.system;
  return {
    requests: window.requests,
    bad: window.bad,
    perSecond: window.requests / took,
    cpu: (user + system) / window.requests,
    userCpu: user / window.requests,
    busy: (user + system) / (took * 1e6),
    generatorBusy: generator / generators.pids.length / (took * 1e6),
    others: Math.max(0, others / (took * 1e6)),
    receivedPerSecond: window.received / took,
    sentPerSecond: window.sent / took,
    p50: window.latencies.quantile(0.5),
    p99: window.latencies.quantile(0.99),
    p999: window.latencies.quantile(0.999),
  };
}

const sum = ({ user, system }: CpuTime) => user + system;

function together(one: Window, other: Window): Window {
  one.latencies.add(other.latencies);
  return {
    requests: one.requests + other.requests,
    bad: one.bad + other.bad,
    received: one.received + other.received,
    sent: one.sent + other.sent,
    open: other.open,
    latencies: one.latencies,
  };
}
