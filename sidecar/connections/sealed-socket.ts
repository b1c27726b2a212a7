import type { Socket } from 'node:net';
import { TLSSocket, type TLSSocketOptions } from 'node:tls';
import { hopContext, hopProtocol } from './hop-tls.ts';
import { JoinedRecords } from './joined-records.ts';
import { type OwnedSocket, onread, own, readNextInto, type SocketOwner } from './socket.ts';
import { useAtTurnEnd } from './turn-end.ts';

/** What node:tls has and does not declare; a test pins it. */
interface Undocumented {
  /** A client: sends its ClientHello. */
  _start(): void;
  /** From here on errors of TLS are errors of the socket. */
  _releaseControl(): void;
  connecting: boolean;
  readonly _handle: { receive(bytes: Buffer): void; readonly _parent: TcpHandle } | null;
}
interface TcpHandle {
  close(done: () => void): void;
  reset(done: () => void): void;
}
type WrapHandle = (wrap: null, handle: object | undefined, writing: boolean) => object;
interface Options extends TLSSocketOptions {
  /** The TCP handle of an accepted connection. */
  readonly adopted?: object;
  readonly onread?: object;
  readonly allowHalfOpen?: boolean;
  readonly pskCallback?: unknown;
}

/** TLS records hold 16 KiB at most. */
const recordShift = 14;

const sealedRead = {
  buffer: onread.buffer,
  callback(this: SealedSocket & OwnedSocket, read: number, into: Buffer): boolean {
    this.recordsRead++;
    const joined = this.joinedRecords.add(into, read, this.owner.bodyBuffer);
    const { step, buffer, length } = joined;
    if (step === 'use') return onread.callback.call(this, length, buffer);
    if (joined.isFirst) useAtTurnEnd(() => useJoined(this));
    readNextInto(this, buffer, length);
    return true;
  },
};

/** Uses what the turn has brought of a body. */
function useJoined(socket: SealedSocket & OwnedSocket): void {
  const joined = socket.joinedRecords.take();
  if (joined === undefined || socket.destroyed) return;
  if (!socket.owner.onBytes(joined.buffer, joined.length)) socket.pause();
}

function onEnd(this: SealedSocket): void {
  useJoined(this as unknown as SealedSocket & OwnedSocket);
}

/**
 * One end of a TLS connection whose TCP handle is taken over or dialled. `tls.connect` would take `onread` too, but
 * `tls.Server` does not; and here both ends are checked, counted and reset in the same way.
 */
export class SealedSocket extends TLSSocket {
  recordsRead = 0;
  recordsWritten = 0;
  readonly joinedRecords = new JoinedRecords();

  constructor(options: Options) {
    super(
      undefined as unknown as Socket,
      {
        ...options,
        secureContext: hopContext,
        ALPNProtocols: [hopProtocol],
        allowHalfOpen: true,
        onread: sealedRead,
        requestCert: options.isServer !== true,
        rejectUnauthorized: true,
      } as TLSSocketOptions,
    );
    this.on('end', onEnd);
  }

  get internals(): Undocumented {
    return this as unknown as Undocumented;
  }

  /** Called by the constructor of TLSSocket, which wraps a new TCP handle unless it is given one. */
  _wrapHandle(wrap: null, handle: object | undefined, writing: boolean): object {
    const { adopted } = (this as unknown as { _tlsOptions: Options })._tlsOptions;
    const base = TLSSocket.prototype as unknown as { _wrapHandle: WrapHandle };
    return base._wrapHandle.call(this, wrap, handle ?? adopted, writing);
  }

  override _write(chunk: string | Buffer, encoding: BufferEncoding, done: () => void): void {
    this.recordsWritten += 1 + (chunk.length >> recordShift);
    super._write(chunk, encoding, done);
  }

  override _writev(
    chunks: { chunk: string | Buffer; encoding: BufferEncoding }[],
    done: (error?: Error | null) => void,
  ): void {
    let bytes = 0;
    for (const { chunk } of chunks) bytes += chunk.length;
    this.recordsWritten += 1 + (bytes >> recordShift);
    super._writev?.(chunks, done);
  }

  /** Closes with a TCP reset and without close_notify, so that the peer cannot take what it got for the whole. */
  override resetAndDestroy(): this {
    const tcp = this.internals._handle?._parent;
    if (tcp !== undefined && !this.internals.connecting) tcp.close = tcp.reset;
    return this.destroy();
  }

  /** Gives the socket its owner. Errors of TLS after the handshake end the connection: nothing of it can be trusted. */
  ownedBy(owner: SocketOwner): SealedSocket & OwnedSocket {
    own(this, owner);
    this.on('error', () => this.destroy());
    return this as unknown as SealedSocket & OwnedSocket;
  }
}
