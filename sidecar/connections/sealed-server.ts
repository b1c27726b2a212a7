import { randomBytes } from 'node:crypto';
import { kidOfPskIdentity } from '../keyring/psk-identity.ts';
import type { Peer } from '../terms/handshake.ts';
import { HandshakeError, handshakeError } from './handshake.ts';
import { hopProtocol } from './hop-tls.ts';
import { SealedSocket } from './sealed-socket.ts';
import type { OwnedSocket, SocketOwner } from './socket.ts';

/** A peer that may prove itself, and how. */
export interface PeerKey extends Peer {
  readonly psk: Buffer;
}

/** Whoever waits for the end of a handshake. */
export interface HandshakeOwner {
  /** The peer is proven; what it sends goes to the owner that this returns. */
  onProven(socket: OwnedSocket, peer: Peer): SocketOwner;
  /** The connection is closed: nobody was proven. */
  onFailed(error: HandshakeError): void;
}

/**
 * Begins the handshake of an accepted connection.
 *
 * @param handle its TCP handle
 * @param received what it has sent already
 * @param keyOf the key of a key id; undefined when it is not accepted
 */
export function acceptSealed(
  handle: object,
  received: Buffer,
  keyOf: (kid: string) => PeerKey | undefined,
  waiting: HandshakeOwner,
): OwnedSocket {
  const handshake = new Handshake(waiting);
  const socket = new SealedSocket({
    isServer: true,
    adopted: handle,
    // Called for each ClientHello; the key that is returned last is the one whose binder is checked.
    pskCallback: (_: unknown, identity: string) => handshake.keyFor(identity, keyOf),
  });
  socket.internals.connecting = false;
  const owned = socket.ownedBy(handshake);
  handshake.socket = owned;
  socket.once('secure', onSecure).on('_tlsError', onTlsError);
  socket.setNoDelay(true);
  socket.internals._handle?.receive(received);
  return owned;
}

/** Stands in for the owner until the peer is proven. */
class Handshake implements SocketOwner {
  readonly bodyBuffer = undefined;
  readonly waiting: HandshakeOwner;
  socket: OwnedSocket | undefined = undefined;
  peer: Peer | undefined = undefined;

  constructor(waiting: HandshakeOwner) {
    this.waiting = waiting;
  }

  /** The key for an identity. An unknown one gets a random key, and so fails exactly like a wrong key. */
  keyFor(identity: string, keyOf: (kid: string) => PeerKey | undefined): Buffer {
    const kid = kidOfPskIdentity(identity);
    const key = kid === undefined ? undefined : keyOf(kid);
    this.peer = key === undefined ? undefined : { caller: key.caller, kid: key.kid };
    return key?.psk ?? randomBytes(32);
  }

  onBytes(): boolean {
    this.socket?.destroy(new HandshakeError('incompatible'));
    return false;
  }
  onConnected(): void {}
  onReadEnd(): void {
    this.socket?.destroy();
  }
  onDrain(): void {}
  onClosed(error: Error | undefined): void {
    const failed = handshakeError(error);
    const isUnknown = failed.failure === 'other-key' && this.peer === undefined;
    this.waiting.onFailed(isUnknown ? new HandshakeError('no-key') : failed);
  }
}

function onTlsError(this: SealedSocket, error: Error): void {
  (this as unknown as OwnedSocket).lastError ??= error;
}

function onSecure(this: SealedSocket): void {
  const owned = this as unknown as OwnedSocket;
  const { peer, waiting } = owned.owner as Handshake;
  if (peer === undefined || !this.isSessionReused()) {
    this.destroy(new HandshakeError('no-key'));
  } else if (this.alpnProtocol !== hopProtocol) {
    this.destroy(new HandshakeError('incompatible', 'ALPN none'));
  } else {
    this.internals._releaseControl();
    owned.owner = waiting.onProven(owned, peer);
  }
}
