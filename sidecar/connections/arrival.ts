import type { Socket } from 'node:net';
import type { HandshakeResult, Peer } from '../terms/handshake.ts';
import type { Place, PlaceHolder } from './admission.ts';
import { coarseNow, type Timed, unwatch, watch } from './deadlines.ts';
import { protocolOf } from './first-byte.ts';
import type { HandshakeError } from './handshake.ts';
import { acceptSealed, type HandshakeOwner, type PeerKey } from './sealed-server.ts';
import { adopt, type OwnedSocket, type SocketOwner, takeHandle } from './socket.ts';

/** What becomes of connections on a port that takes TLS and plain HTTP. */
export interface ArrivalParts {
  /** In milliseconds. */
  readonly timeouts: { readonly idle: number; readonly connect: number };
  /** The key of a key id; undefined when it is not accepted. */
  keyOf(kid: string): PeerKey | undefined;
  /** The connection speaks HTTP, inside TLS when there is a peer; what is returned reads from it. */
  serve(socket: OwnedSocket, peer: Peer | undefined, place: Place): SocketOwner;
  /** A handshake has ended, with whom if the peer is proven. */
  onHandshake(result: HandshakeResult, peer: Peer | undefined): void;
  /** The connection is gone, or served by another owner from now on. */
  onEnd(arrival: Arrival, isServed: boolean): void;
}

/**
 * An accepted connection until it is known what it speaks: its first byte tells, and a TLS handshake has to be
 * completed with a pair key.
 */
export class Arrival implements SocketOwner, HandshakeOwner, PlaceHolder, Timed {
  readonly bodyBuffer = undefined;
  deadline: number;
  readonly #parts: ArrivalParts;
  readonly #place: Place;
  #socket: OwnedSocket | undefined;
  #timedOut = false;

  private constructor(accepted: Socket, parts: ArrivalParts, place: Place) {
    this.#parts = parts;
    this.#place = place;
    place.holder = this;
    this.deadline = coarseNow() + parts.timeouts.idle;
    this.#socket = adopt(accepted, this);
  }

  /** Waits for the first byte of an accepted connection; undefined when it is gone already. */
  static accept(accepted: Socket, parts: ArrivalParts, place: Place): Arrival | undefined {
    const arrival = new Arrival(accepted, parts, place);
    if (arrival.#socket === undefined) return undefined;
    watch(arrival);
    arrival.#socket.read(0);
    return arrival;
  }

  /** It may be about to bring a request that was sent to nobody else. */
  readonly isUndecided = true;

  /** Whether nothing has come. A handshake that is under way is finished: a peer whose handshake is cut must think that the key is not proven. */
  get isWaiting(): boolean {
    return !this.#isShaking;
  }
  #isShaking = false;

  onBytes(buffer: Buffer, length: number): boolean {
    const socket = this.#socket as OwnedSocket;
    switch (protocolOf(buffer[0] as number)) {
      case 'tls': {
        this.#isShaking = true;
        const received = Buffer.from(buffer.subarray(0, length));
        // The handle can't change hands in the middle of a read.
        setImmediate(() => this.#handshake(socket, received));
        return false;
      }
      case 'http':
        this.#leave(true);
        socket.owner = this.#parts.serve(socket, undefined, this.#place);
        return socket.owner.onBytes(buffer, length);
      default:
        socket.destroy();
        return false;
    }
  }

  #handshake(plain: OwnedSocket, received: Buffer): void {
    if (plain.destroyed) return;
    plain.removeAllListeners();
    const handle = takeHandle(plain);
    if (handle === undefined) {
      this.onClosed();
      return;
    }
    this.deadline = coarseNow() + this.#parts.timeouts.connect;
    this.#socket = acceptSealed(handle, received, (kid) => this.#parts.keyOf(kid), this);
  }

  onProven(socket: OwnedSocket, peer: Peer): SocketOwner {
    this.#leave(true);
    this.#parts.onHandshake('proven', peer);
    this.#place.onProven();
    return this.#parts.serve(socket, peer, this.#place);
  }

  onFailed(error: HandshakeError): void {
    this.#place.onHandshakeFailed();
    this.#parts.onHandshake(this.#timedOut ? 'timed-out' : error.failure, undefined);
    this.#leave(false);
  }

  #leave(isServed: boolean): void {
    unwatch(this);
    if (!isServed) this.#place.leave();
    this.#socket = undefined;
    this.#parts.onEnd(this, isServed);
  }

  onConnected(): void {}
  onDrain(): void {}
  /** It has sent nothing, and never will. */
  onReadEnd(): void {
    this.#socket?.destroy();
  }
  onClosed(): void {
    this.#leave(false);
  }

  onDeadline(): void {
    this.#timedOut = true;
    this.end();
  }

  end(): void {
    this.#socket?.destroy();
  }

  evict(): void {
    this.#socket?.destroy();
  }

  abort(): void {
    this.#socket?.resetAndDestroy();
  }
}
