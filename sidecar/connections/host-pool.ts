import { Upstream } from './client-connection.ts';
import { coarseNow } from './deadlines.ts';
import { Departures } from './request-batcher.ts';

const firstBackOffMs = 500;
const longestBackOffMs = 30_000;
/** Connections that lie ready for the next request; more than that are closed. */
const mostIdle = 256;

/** In milliseconds. */
export interface UpstreamTimeouts {
  readonly connect: number;
  readonly idle: number;
  readonly response: number;
  readonly tunnel_idle: number;
}

/** One address that requests are sent to, and the connections to it. */
export class UpstreamHost {
  readonly address: string;
  readonly port: number;
  /** Requests under way. */
  inFlight = 0;
  /** With what requests that may share a connection leave; undefined where each has one of its own. */
  readonly departures: Departures | undefined;
  readonly #timeouts: UpstreamTimeouts;
  readonly #idle: Upstream[] = [];
  #backOffMs = 0;
  #setAsideUntil = 0;

  /** @param shared whether requests may share a connection: the peer is a sidecar, which runs them side by side */
  constructor(address: string, port: number, timeouts: UpstreamTimeouts, shared: boolean) {
    this.departures = shared ? new Departures(this) : undefined;
    this.address = address;
    this.port = port;
    this.#timeouts = timeouts;
  }

  /** False while the host is set aside because it could not be connected to. */
  get isReady(): boolean {
    return this.#setAsideUntil <= coarseNow();
  }

  /** A connection that lies ready, the last used first, or else a new one. */
  take(): Upstream {
    const now = coarseNow();
    for (let upstream = this.#idle.pop(); upstream !== undefined; upstream = this.#idle.pop()) {
      if (upstream.reusableUntil > now) return upstream;
      upstream.close();
    }
    return this.dial();
  }

  /** A new connection. */
  dial(): Upstream {
    return new Upstream(this, this.#timeouts);
  }

  /** Takes a connection back after a complete exchange. */
  giveBack(upstream: Upstream): void {
    if (this.#idle.length >= mostIdle) upstream.close();
    else this.#idle.push(upstream);
  }

  /** Forgets an idle connection that has closed. */
  forget(upstream: Upstream): void {
    const at = this.#idle.indexOf(upstream);
    if (at >= 0) this.#idle.splice(at, 1);
  }

  /** The host answered a connection attempt. */
  connected(): void {
    this.#backOffMs = 0;
    this.#setAsideUntil = 0;
  }

  /** The host could not be connected to: it is set aside, for twice as long each time. */
  failed(): void {
    this.#backOffMs = Math.min(longestBackOffMs, Math.max(firstBackOffMs, 2 * this.#backOffMs));
    this.#setAsideUntil = coarseNow() + this.#backOffMs;
  }

  /** Closes the connections that lie ready. */
  closeIdle(): void {
    for (const upstream of this.#idle.splice(0)) upstream.close();
  }
}

/**
 * The less busy of two hosts drawn at random, of those that can be connected to; when all are set aside, any.
 *
 * @param tried hosts not to use again
 * @param random as Math.random
 * @returns undefined when every host has been tried
 */
export function choose(
  hosts: readonly UpstreamHost[],
  tried: ReadonlySet<UpstreamHost> | undefined,
  random: () => number,
): UpstreamHost | undefined {
  if (hosts.length === 1) return tried?.has(hosts[0]!) ? undefined : hosts[0];
  const untried = hosts.filter((host) => !tried?.has(host));
  const ready = untried.filter((host) => host.isReady);
  const eligible = ready.length > 0 ? ready : untried;
  if (eligible.length <= 1) return eligible[0];
  const first = Math.floor(random() * eligible.length);
  const second = (first + 1 + Math.floor(random() * (eligible.length - 1))) % eligible.length;
  const one = eligible[first]!;
  const other = eligible[second]!;
  return other.inFlight < one.inFlight ? other : one;
}
