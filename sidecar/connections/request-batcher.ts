import { AnswerTimes } from './answer-times.ts';
import type { ClientCall } from './client-call.ts';

/** Requests that share a connection at most. */
const mostTogether = 8;
/** Below so many calls under way hardly any would leave in the same turn of the event loop. */
const fewestUnderWay = 8;
/** A connection that several requests can be pipelined on. */
export interface SharedConnection {
  readonly connected: boolean;
  /** Writes all requests at once; their responses come in the same order. */
  share(calls: readonly [ClientCall, ...ClientCall[]]): void;
  /** Whether a request still waits for the responses before its own. */
  keepsWaiting(call: ClientCall): boolean;
  /** Has those that wait behind the present request retried on their own connections. */
  disband(): void;
}

/** The host that the requests are for. */
export interface BatchedHost<Connection extends SharedConnection> {
  readonly inFlight: number;
  take(): Connection;
  sendAlone(call: ClientCall, connection?: Connection): void;
}

/**
 * Pipelines safe requests to one host that leave in the same turn of the event loop (RFC 9112 §9.3.2): they share
 * connections, a few in one write each, and the sidecar at the other end runs them side by side. That saves most
 * writes and reads between the two, and is for hosts that answer steadily: a response that is slow or streams keeps no
 * other request waiting for long.
 */
export class RequestBatcher<Connection extends SharedConnection> {
  readonly #host: BatchedHost<Connection>;
  #waiting: ClientCall[] = [];
  readonly #times = new AnswerTimes();

  constructor(host: BatchedHost<Connection>) {
    this.#host = host;
  }

  /** Whether a request gains by leaving together with others. */
  isWorthIt(): boolean {
    return this.#times.areSteady && this.#host.inFlight + this.#waiting.length >= fewestUnderWay;
  }

  /** An answer is complete. @param ms since its request came @param whole it came in one piece */
  onAnswer(ms: number, whole: boolean): void {
    this.#times.onAnswer(ms, whole);
  }

  /** A request had to be retried on its own connection. */
  onDelay(): void {
    this.#times.onDelay();
  }

  /** Has a request wait for the end of this turn. */
  join(call: ClientCall): void {
    if (this.#waiting.push(call) === 1) setImmediate(() => this.#depart());
  }

  #depart(): void {
    const waiting = this.#waiting.filter((call) => !call.isAborted);
    this.#waiting = [];
    const connections = Math.ceil(waiting.length / mostTogether);
    for (let i = 0; i < connections; i++) {
      const [first, ...others] = waiting.slice(
        Math.floor((i * waiting.length) / connections),
        Math.floor(((i + 1) * waiting.length) / connections),
      ) as [ClientCall, ...ClientCall[]];
      const connection = this.#host.take();
      if (others.length > 0 && connection.connected) {
        connection.share([first, ...others]);
        const last = others.at(-1) as ClientCall;
        // What has come by then is read first.
        setTimeout(
          () => setImmediate(() => connection.keepsWaiting(last) && connection.disband()),
          this.#times.patienceMs,
        ).unref();
      } else {
        this.#host.sendAlone(first, connection);
        for (const other of others) this.#host.sendAlone(other);
      }
    }
  }
}
