/**
 * Bytes in, bytes out: the least that a proxy on Node can do. Its sockets are the product's own: they read into shared memory
 * and write without copies.
 */
import { type AddressInfo, createServer, type Socket } from 'node:net';
import {
  adopt,
  dial,
  type OwnedSocket,
  releaseBodyBuffer,
  type SocketOwner,
  takeBodyBuffer,
  writeRange,
} from '../../../sidecar/connections/socket.ts';
import { readSettings } from './settings.ts';

const { app } = readSettings();
/** A read of this or more is part of a body: the next one gets a buffer of its own. */
const bodyBytes = 16 * 1024;

/** One end of a spliced connection: what it reads goes to the other end. */
class End implements SocketOwner {
  bodyBuffer: Buffer | undefined;
  socket: OwnedSocket | undefined;
  other!: End;
  readonly #onConnected: () => void;

  constructor(onConnected: () => void = () => {}) {
    this.#onConnected = onConnected;
  }

  onBytes(buffer: Buffer, length: number): boolean {
    const target = this.other.socket;
    if (target === undefined) return false;
    const more = writeRange(target, buffer, 0, length);
    if (buffer === this.bodyBuffer && target.writableLength > 0) {
      releaseBodyBuffer(this.socket as OwnedSocket, buffer, target);
      this.bodyBuffer = takeBodyBuffer(Number.POSITIVE_INFINITY);
    }
    if (this.bodyBuffer === undefined && length >= bodyBytes)
      this.bodyBuffer = takeBodyBuffer(Number.POSITIVE_INFINITY);
    return more;
  }
  onConnected(): void {
    this.#onConnected();
  }
  onDrain(): void {
    this.other.socket?.resume();
  }
  onReadEnd(): void {
    this.socket?.destroy();
  }
  onClosed(): void {
    this.other.socket?.destroy();
  }
}

function splice(accepted: Socket): void {
  const downstream = new End();
  const upstream = new End(() => downstream.socket?.read(0));
  downstream.other = upstream;
  upstream.other = downstream;
  downstream.socket = adopt(accepted, downstream);
  upstream.socket = dial('127.0.0.1', app, upstream);
}

const server = createServer({ noDelay: true, pauseOnConnect: true }, splice);
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () =>
  console.log(`ready ${(server.address() as AddressInfo).port}`),
);
