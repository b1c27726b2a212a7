import { type IncomingMessage, request } from 'node:http';
import { connect, type TLSSocket } from 'node:tls';
import { HandshakeError, handshakeError } from '../connections/handshake.ts';
import { hopContext, hopProtocol, unproven } from '../connections/hop-tls.ts';
import { pskIdentity } from '../keyring/psk-identity.ts';

/** One host of a callee, and the key with which both ends prove themselves. */
export interface HopTarget {
  readonly host: string;
  readonly port: number;
  /** Key id of the caller, such as `control/1`. */
  readonly kid: string;
  /** 32 bytes. */
  readonly psk: Buffer;
}

/** One request as it is to be sent, signature fields included. */
export interface HopRequest {
  readonly method: string;
  /** Path and query, as they were signed. */
  readonly target: string;
  readonly fields: readonly (readonly [string, string])[];
  readonly body?: Uint8Array | undefined;
}

/**
 * Opens a sealed connection from a command: nothing of a call is sent before the peer has proven the pair key.
 *
 * @param timeoutMs for TCP and handshake together
 * @throws {HandshakeError} when the peer could be connected to and did not prove itself
 * @throws an error of node:net when it could not be connected to
 */
export function openSealed({ host, port, kid, psk }: HopTarget, timeoutMs: number): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    let isReached = false;
    const socket = connect({
      host,
      port,
      secureContext: hopContext,
      ALPNProtocols: [hopProtocol],
      checkServerIdentity: () => undefined,
      pskCallback: () => ({ psk, identity: pskIdentity(kid) }),
    });
    const limit = setTimeout(() => socket.destroy(new HandshakeError('timed-out')), timeoutMs);
    const fail = (error?: Error) => {
      clearTimeout(limit);
      socket.destroy();
      reject(isReached || error === undefined ? handshakeError(error) : error);
    };
    socket.once('connect', () => {
      isReached = true;
    });
    socket.once('error', fail);
    socket.once('close', () => fail());
    socket.once('secureConnect', () => {
      const fault = unproven(socket);
      if (fault !== undefined) return fail(fault);
      clearTimeout(limit);
      socket.removeAllListeners('close').off('error', fail);
      resolve(socket);
    });
  });
}

/** Sends a request on a connection that was opened for it, and resolves with the head of its answer. */
export function sendOn(
  socket: TLSSocket,
  { method, target, fields, body }: HopRequest,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const length = body === undefined || body.length === 0 ? [] : ['Content-Length', String(body.length)];
    const outgoing = request({
      createConnection: () => socket,
      method,
      path: target,
      setHost: false,
      headers: [...fields.flat(), ...length, 'Connection', 'close'],
    });
    outgoing.once('response', resolve);
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}
