import type { CalleeEnd, CalleeEvents, Destination, HowToSend } from '../exchange/ends.ts';
import type { RequestToSend } from '../http1/outgoing-message.ts';
import type { SealingKey } from '../keyring/keyring.ts';
import type { HandshakeFailure, HandshakeResult } from '../terms/handshake.ts';
import type { Permit } from '../terms/permit.ts';
import { ClientCall } from './client-call.ts';
import { ClientConnection, type ClientTimeouts, type ConnectionPool } from './client-connection.ts';
import { coarseNow } from './deadlines.ts';
import { HostSealing } from './host-sealing.ts';
import { RequestBatcher } from './request-batcher.ts';

const firstBackOffMs = 500;
const longestBackOffMs = 30_000;
/** Connections that lie ready for the next request; more than that are closed. */
const mostIdle = 256;

/** Who is told of the connections to a host. */
export interface PoolObserver {
  onHandshake(result: HandshakeResult): void;
  /** A connection came (+1) or went (-1). */
  onConnection(sealed: boolean, delta: 1 | -1): void;
}

/** Connections of one kind that lie ready, and what shares them. */
interface Kind {
  readonly idle: ClientConnection[];
  /** Lets requests share connections; undefined where each has one of its own. */
  readonly batcher: RequestBatcher<ClientConnection> | undefined;
}

/** One address that requests are sent to, and the connections to it: sealed ones, and plain ones. */
export class HostPool implements Destination, ConnectionPool {
  readonly address: string;
  readonly port: number;
  readonly hops: Destination['hops'];
  inFlight = 0;
  readonly #timeouts: ClientTimeouts;
  readonly #observer: PoolObserver | undefined;
  readonly #sealing = new HostSealing(undefined);
  readonly #sealed: Kind;
  readonly #plain: Kind;
  #backOffMs = 0;
  #setAsideUntil = 0;
  #retry: NodeJS.Timeout | undefined = undefined;
  #isClosed = false;

  /** @param observer of a sidecar's host, whose connections can be sealed and shared; undefined of the app's */
  constructor(address: string, port: number, timeouts: ClientTimeouts, observer: PoolObserver | undefined) {
    this.address = address;
    this.port = port;
    this.hops = { sealed: { sealed: true, host: address }, plain: { sealed: false, host: address } };
    this.#timeouts = timeouts;
    this.#observer = observer;
    this.#sealed = this.#kind(true);
    this.#plain = this.#kind(false);
  }

  #kind(sealed: boolean): Kind {
    const pool = this;
    const host = {
      get inFlight() {
        return pool.inFlight;
      },
      take: () => this.#take(sealed),
      sendAlone: (call: ClientCall, connection = this.#take(sealed)) => connection.begin(call),
    };
    return { idle: [], batcher: this.#observer === undefined ? undefined : new RequestBatcher(host) };
  }

  get isReady(): boolean {
    return this.#setAsideUntil <= coarseNow();
  }

  get unproven(): HandshakeFailure | undefined {
    return this.#sealing.unproven;
  }

  /** Takes up the key of the keyring in force. Connections of another one take no new calls. */
  useKey(key: SealingKey | undefined): void {
    if (!this.#sealing.useKey(key)) return;
    clearTimeout(this.#retry);
    this.#retry = undefined;
    for (const connection of this.#sealed.idle.splice(0)) connection.close();
  }

  open(
    _permit: Permit,
    request: RequestToSend,
    body: Buffer | undefined,
    how: HowToSend,
    sealed: boolean,
    events: CalleeEvents,
  ): CalleeEnd {
    const call = new ClientCall(request, body, how, events);
    const { batcher } = sealed ? this.#sealed : this.#plain;
    if (how === 'shareable' && batcher?.isWorthIt() === true) batcher.join(call);
    else {
      const isFresh = how === 'fresh' || how === 'streamed-fresh';
      (isFresh ? this.#dial(sealed) : this.#take(sealed)).begin(call);
    }
    return call;
  }

  /** A connection that lies ready, the last used first, or else a new one. */
  #take(sealed: boolean): ClientConnection {
    const now = coarseNow();
    const { idle } = sealed ? this.#sealed : this.#plain;
    for (let connection = idle.pop(); connection !== undefined; connection = idle.pop()) {
      if (connection.reusableUntil > now && connection.isFresh) return connection;
      connection.close();
    }
    return this.#dial(sealed);
  }

  #dial(sealed: boolean): ClientConnection {
    return new ClientConnection(this, this.#timeouts, sealed ? this.#sealing.key : undefined);
  }

  giveBack(connection: ClientConnection): void {
    const { kid } = connection;
    const { idle } = kid === undefined ? this.#plain : this.#sealed;
    const isOld = kid !== undefined && kid !== this.#sealing.key?.kid;
    if (isOld || this.#isClosed || idle.length >= mostIdle) connection.close();
    else idle.push(connection);
  }

  forget(connection: ClientConnection): void {
    const { idle } = connection.kid === undefined ? this.#plain : this.#sealed;
    const at = idle.indexOf(connection);
    if (at >= 0) idle.splice(at, 1);
  }

  onConnected({ kid }: ClientConnection): void {
    this.#backOffMs = 0;
    this.#setAsideUntil = 0;
    this.#observer?.onConnection(kid !== undefined, 1);
    if (kid === undefined) return;
    this.#observer?.onHandshake('proven');
    if (kid === this.#sealing.key?.kid) this.#sealing.onProven();
  }

  onClosed(sealed: boolean): void {
    this.#observer?.onConnection(sealed, -1);
  }

  /** The host is set aside, for twice as long each time. */
  onUnreachable(): void {
    this.#backOffMs = Math.min(longestBackOffMs, Math.max(firstBackOffMs, 2 * this.#backOffMs));
    this.#setAsideUntil = coarseNow() + this.#backOffMs;
    // A background connection that did not get that far says nothing of the key.
    if (this.#sealing.unproven !== undefined) this.#tryAgainIn(this.#backOffMs);
  }

  onUnproven(failure: HandshakeFailure, kid: string, dialledAtMs: number): void {
    this.#observer?.onHandshake(failure);
    const retryMs = this.#sealing.onFailed(failure, kid, dialledAtMs, performance.now());
    if (retryMs !== undefined) this.#tryAgainIn(retryMs);
  }

  /** A connection of its own, never a call, finds out whether the host proves itself by now. */
  #tryAgainIn(ms: number): void {
    if (this.#retry !== undefined || this.#isClosed) return;
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      if (this.#sealing.key !== undefined && this.#sealing.unproven !== undefined) this.#dial(true);
    }, ms).unref();
  }

  onAnswer(ms: number, whole: boolean, sealed: boolean): void {
    (sealed ? this.#sealed : this.#plain).batcher?.onAnswer(ms, whole);
  }

  onDelay(sealed: boolean): void {
    (sealed ? this.#sealed : this.#plain).batcher?.onDelay();
  }

  /** The host is not called any more: closes the connections that lie ready, and tries none again. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#retry);
    for (const { idle } of [this.#sealed, this.#plain])
      for (const connection of idle.splice(0)) connection.close();
  }
}
