import type { Exchange } from '../exchange/exchange.ts';
import type { UpstreamHost } from './host-pool.ts';

/** Requests that share a connection at most. */
const mostTogether = 8;
/** Below so many calls under way hardly any would leave in the same turn of the event loop. */
const fewestUnderWay = 8;
/** An answer within so many milliseconds is quick. */
const quickMs = 20;
/** So many quick answers in a row let the next ones be expected. */
const quickRun = 64;
/** A request waits at most so long behind others before it is sent anew. */
const patienceMs = 25;

/**
 * Safe requests to one host that leave in the same turn of the event loop: they share connections, a few in one write
 * each, and the sidecar at the other end runs them side by side (RFC 9112 §9.3.2). That saves most writes and reads
 * between the two, and is for hosts that answer quickly: a response that is slow or streams keeps nobody waiting for
 * long.
 */
export class Departures {
  readonly #host: UpstreamHost;
  #waiting: Exchange[] = [];
  /** Quick answers since the last other one. */
  #run = 0;

  constructor(host: UpstreamHost) {
    this.#host = host;
  }

  /** Whether a request gains by leaving together with others. */
  areWorthIt(): boolean {
    return this.#run >= quickRun && this.#host.inFlight + this.#waiting.length >= fewestUnderWay;
  }

  /** An answer is complete. @param ms since its request came @param whole it came in one piece */
  onAnswer(ms: number, whole: boolean): void {
    this.#run = whole && ms <= quickMs ? this.#run + 1 : 0;
  }

  /** Somebody had to be sent anew. */
  onDelay(): void {
    this.#run = 0;
  }

  /** Has a request wait for the end of this turn. */
  join(exchange: Exchange): void {
    if (this.#waiting.push(exchange) === 1) setImmediate(() => this.#depart());
  }

  #depart(): void {
    const waiting = this.#waiting.filter((exchange) => !exchange.ended);
    this.#waiting = [];
    const connections = Math.ceil(waiting.length / mostTogether);
    for (let i = 0; i < connections; i++) {
      const [first, ...others] = waiting.slice(
        Math.floor((i * waiting.length) / connections),
        Math.floor(((i + 1) * waiting.length) / connections),
      ) as [Exchange, ...Exchange[]];
      const upstream = this.#host.take();
      if (others.length > 0 && upstream.connected) {
        upstream.share([first, ...others]);
        const last = others.at(-1) as Exchange;
        // What has come by then is read first.
        setTimeout(
          () => setImmediate(() => upstream.keepsWaiting(last) && upstream.disband()),
          patienceMs,
        ).unref();
      } else {
        first.departAlone(upstream);
        for (const other of others) other.departAlone(this.#host.take());
      }
    }
  }
}
