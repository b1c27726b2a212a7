import type { CalleeEnd, CalleeEvents, Destination } from '../exchange/ends.ts';
import type { RequestToSend } from '../http1/outgoing-message.ts';
import type { Permit } from '../terms/permit.ts';
import { ClientCall } from './client-call.ts';
import { ClientConnection, type ClientTimeouts, type ConnectionPool } from './client-connection.ts';
import { coarseNow } from './deadlines.ts';
import { RequestBatcher } from './request-batcher.ts';

const firstBackOffMs = 500;
const longestBackOffMs = 30_000;
/** Connections that lie ready for the next request; more than that are closed. */
const mostIdle = 256;

/** One address that requests are sent to, and the connections to it. */
export class HostPool implements Destination, ConnectionPool {
  readonly address: string;
  readonly port: number;
  inFlight = 0;
  /** Lets requests share connections; undefined where each has one of its own. */
  readonly #batcher: RequestBatcher<ClientConnection> | undefined;
  readonly #timeouts: ClientTimeouts;
  readonly #idle: ClientConnection[] = [];
  #backOffMs = 0;
  #setAsideUntil = 0;

  /** @param pipelines whether requests may share a connection: the peer is a sidecar, which runs them side by side */
  constructor(address: string, port: number, timeouts: ClientTimeouts, pipelines: boolean) {
    this.#batcher = pipelines ? new RequestBatcher(this) : undefined;
    this.address = address;
    this.port = port;
    this.#timeouts = timeouts;
  }

  get isReady(): boolean {
    return this.#setAsideUntil <= coarseNow();
  }

  open(
    _permit: Permit,
    request: RequestToSend,
    body: Buffer | undefined,
    how: 'alone' | 'shareable' | 'streamed' | 'fresh',
    events: CalleeEvents,
  ): CalleeEnd {
    const call = new ClientCall(request, body, how, events);
    if (how === 'shareable' && this.#batcher?.isWorthIt() === true) this.#batcher.join(call);
    else this.sendAlone(call, how === 'fresh' ? this.dial() : this.take());
    return call;
  }

  /** Sends a request on a connection to itself. */
  sendAlone(call: ClientCall, connection = this.take()): void {
    connection.begin(call);
    call.leaveOn(connection);
  }

  /** A connection that lies ready, the last used first, or else a new one. */
  take(): ClientConnection {
    const now = coarseNow();
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      if (idle.reusableUntil > now) return idle;
      idle.close();
    }
    return this.dial();
  }

  /** A new connection. */
  dial(): ClientConnection {
    return new ClientConnection(this, this.#timeouts);
  }

  giveBack(connection: ClientConnection): void {
    if (this.#idle.length >= mostIdle) connection.close();
    else this.#idle.push(connection);
  }

  forget(connection: ClientConnection): void {
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
  }

  onConnected(): void {
    this.#backOffMs = 0;
    this.#setAsideUntil = 0;
  }

  /** The host is set aside, for twice as long each time. */
  onUnreachable(): void {
    this.#backOffMs = Math.min(longestBackOffMs, Math.max(firstBackOffMs, 2 * this.#backOffMs));
    this.#setAsideUntil = coarseNow() + this.#backOffMs;
  }

  onAnswer(ms: number, whole: boolean): void {
    this.#batcher?.onAnswer(ms, whole);
  }

  onDelay(): void {
    this.#batcher?.onDelay();
  }

  /** Closes the connections that lie ready. */
  closeIdle(): void {
    for (const connection of this.#idle.splice(0)) connection.close();
  }
}
