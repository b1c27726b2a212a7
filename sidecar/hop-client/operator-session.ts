import { randomBytes } from 'node:crypto';
import { Agent, type IncomingMessage, request } from 'node:http';
import type { TLSSocket } from 'node:tls';
import type { Keyring } from '../keyring/keyring.ts';
import { type OperatorDocument, operatorPath } from '../policy/operator-reads.ts';
import { requiredComponents } from '../signature/coverage-rules.ts';
import type { PairKey } from '../signature/hmac.ts';
import { signRequest } from '../signature/sign.ts';
import { headLabel } from '../signature/tags.ts';
import { PlainRequest } from './plain-request.ts';
import { openSealed } from './sealed-call.ts';

/** The inbound listener of one sidecar. */
export interface SidecarAddress {
  readonly service: string;
  readonly host: string;
  readonly port: number;
}

/** No keyring has a pair key for the host. */
export class NoPairKeyError extends Error {
  constructor({ service, host }: SidecarAddress, { service: own }: Keyring) {
    super(`the keyring of ${own} has no pair key for ${service} on ${host}`);
    this.name = 'NoPairKeyError';
  }
}

/** One connection on which every request leaves. */
class OneConnection extends Agent {
  readonly socket: TLSSocket;

  constructor(socket: TLSSocket) {
    super({ keepAlive: true, maxSockets: 1 });
    this.socket = socket;
  }

  override createConnection(): TLSSocket {
    return this.socket;
  }
}

/** A sealed connection to a sidecar on which an operator reads its documents, one after the other. */
export class OperatorSession {
  readonly #address: SidecarAddress;
  readonly #keyring: Keyring;
  readonly #key: { readonly kid: string; readonly key: PairKey };
  readonly #agent: OneConnection;

  private constructor(
    address: SidecarAddress,
    keyring: Keyring,
    key: { readonly kid: string; readonly key: PairKey },
    socket: TLSSocket,
  ) {
    this.#address = address;
    this.#keyring = keyring;
    this.#key = key;
    this.#agent = new OneConnection(socket);
    // A connection that ends while it lies ready is not used again; that is all there is to it.
    socket.on('error', () => {});
  }

  /**
   * Connects as the service of a keyring. Nothing is sent before the peer has proven the pair key.
   *
   * @param timeoutMs for TCP and handshake together
   * @throws {NoPairKeyError}
   * @throws {import('../connections/handshake.ts').HandshakeError} when the peer did not prove itself
   * @throws an error of node:net when it could not be connected to
   */
  static async open(keyring: Keyring, address: SidecarAddress, timeoutMs: number): Promise<OperatorSession> {
    const { service, host, port } = address;
    const own = keyring.outbound.get(service);
    const key = own?.keys.get(host);
    const psk = own?.psks.get(host);
    if (own === undefined || key === undefined || psk === undefined)
      throw new NoPairKeyError(address, keyring);
    const socket = await openSealed({ host, port, kid: own.kid, psk }, timeoutMs);
    return new OperatorSession(address, keyring, { kid: own.kid, key }, socket);
  }

  /** Whether another document can be asked for. */
  get isOpen(): boolean {
    return this.#agent.socket.writable && !this.#agent.socket.destroyed;
  }

  /**
   * Asks for a document; resolves with the head of the answer.
   *
   * @param signal ends the request, and the connection with it
   * @param lastEventId where to go on in a stream of events
   */
  read(document: OperatorDocument, signal: AbortSignal, lastEventId?: string): Promise<IncomingMessage> {
    const path = operatorPath(document);
    const fields = [
      ...this.#signed(path),
      ...(lastEventId === undefined ? [] : ['Last-Event-ID', lastEventId]),
    ];
    return new Promise((resolve, reject) => {
      const outgoing = request({ agent: this.#agent, path, setHost: false, headers: fields, signal });
      outgoing.once('response', resolve);
      outgoing.once('error', reject);
      outgoing.end();
    });
  }

  close(): void {
    this.#agent.socket.destroy();
    this.#agent.destroy();
  }

  #signed(path: string): string[] {
    const { kid, key } = this.#key;
    const fields = [
      ['Host', this.#address.service],
      ['X-Service-ID', this.#keyring.service],
    ] as const;
    const message = new PlainRequest('GET', path, fields);
    const { signatureInput, signature } = signRequest(message, requiredComponents(message, 'tls'), key, {
      kid,
      created: Math.floor(Date.now() / 1000),
      nonce: randomBytes(16).toString('base64url'),
    });
    return [
      ...fields.flat(),
      'Signature-Input',
      `${headLabel}=${signatureInput}`,
      'Signature',
      `${headLabel}=${signature}`,
    ];
  }
}
