import type { SealingKey } from '../keyring/keyring.ts';
import { pskIdentity } from '../keyring/psk-identity.ts';
import { HandshakeError, handshakeError } from './handshake.ts';
import { unproven } from './hop-tls.ts';
import { SealedSocket } from './sealed-socket.ts';
import type { OwnedSocket, SocketOwner } from './socket.ts';

/**
 * Opens a sealed connection. `owner.onConnected` is called once the peer has proven the pair key, and not before:
 * until then nothing may be written, for a server that shows a certificate completes the handshake as well.
 * `owner.onClosed` gets a HandshakeError when the peer could be connected to and did not prove itself.
 */
export function dialSealed(host: string, port: number, key: SealingKey, owner: SocketOwner): OwnedSocket {
  const socket = new SealedSocket({
    isServer: false,
    pskCallback: () => ({ psk: key.psk, identity: pskIdentity(key.kid) }),
  });
  const owned = socket.ownedBy(new Handshake(owner, socket));
  socket.once('connect', onConnect).once('secure', onSecure).on('_tlsError', onTlsError);
  socket.connect({ host, port });
  socket.setNoDelay(true);
  return owned;
}

/** Stands in for the owner until the peer is proven. */
class Handshake implements SocketOwner {
  readonly bodyBuffer = undefined;
  readonly owner: SocketOwner;
  readonly #socket: SealedSocket;

  constructor(owner: SocketOwner, socket: SealedSocket) {
    this.owner = owner;
    this.#socket = socket;
  }

  /** Bytes of a peer that is not proven: there are none that anybody asked for. */
  onBytes(): boolean {
    this.#socket.destroy(new HandshakeError('incompatible'));
    return false;
  }
  onConnected(): void {}
  onReadEnd(): void {
    this.#socket.destroy();
  }
  onDrain(): void {}
  onClosed(error: Error | undefined): void {
    this.owner.onClosed(this.isReached ? handshakeError(error) : error);
  }

  /** Whether TCP got as far as the peer. */
  isReached = false;
}

function onConnect(this: SealedSocket): void {
  const handshake = (this as unknown as OwnedSocket).owner as Handshake;
  handshake.isReached = true;
  this.internals._start();
}

function onTlsError(this: SealedSocket, error: Error): void {
  (this as unknown as OwnedSocket).lastError ??= error;
}

function onSecure(this: SealedSocket): void {
  const owned = this as unknown as OwnedSocket;
  const fault = unproven(this);
  if (fault !== undefined) {
    this.destroy(fault);
    return;
  }
  this.internals._releaseControl();
  owned.owner = (owned.owner as Handshake).owner;
  owned.owner.onConnected();
}
