/**
 * A splice that puts every byte that goes up through SHA-256 and does nothing with the result. It reads as our data
 * path does, in pieces of 256 KiB into memory that is used again: no splice on Node hashes for less.
 */
import { createHash } from 'node:crypto';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import {
  adopt,
  type OwnedSocket,
  releaseBodyBuffer,
  type SocketOwner,
  takeBodyBuffer,
  writeRange,
} from '../../../sidecar/connections/socket.ts';
import { readSettings } from './settings.ts';

const { app } = readSettings();

class Downstream implements SocketOwner {
  bodyBuffer: Buffer = takeBodyBuffer(Number.POSITIVE_INFINITY);
  readonly #hash = createHash('sha256');
  readonly #socket: OwnedSocket;
  readonly #upstream: Socket;

  constructor(accepted: Socket) {
    const upstream = connect({ port: app, host: '127.0.0.1', noDelay: true });
    const socket = adopt(accepted, this) as OwnedSocket;
    this.#upstream = upstream;
    this.#socket = socket;
    upstream.on('data', (chunk) => void socket.write(chunk));
    upstream.on('connect', () => socket.read(0));
    upstream.on('drain', () => socket.resume());
    upstream.on('close', () => socket.destroy());
    upstream.on('error', () => {});
  }

  onBytes(buffer: Buffer, length: number): boolean {
    this.#hash.update(buffer.subarray(0, length));
    const more = writeRange(this.#upstream, buffer, 0, length);
    if (this.#upstream.writableLength > 0 && buffer === this.bodyBuffer) {
      releaseBodyBuffer(this.#socket, buffer, this.#upstream);
      this.bodyBuffer = takeBodyBuffer(Number.POSITIVE_INFINITY);
    }
    return more;
  }

  onClosed(): void {
    this.#upstream.destroy();
  }
  onReadEnd(): void {
    this.#socket.destroy();
  }
  onConnected(): void {}
  onDrain(): void {}
}

const server = createServer({ noDelay: true, pauseOnConnect: true }, (accepted) => new Downstream(accepted));
server.listen({ port: 0, host: '127.0.0.1' }, () =>
  console.log(`ready ${(server.address() as AddressInfo).port}`),
);
