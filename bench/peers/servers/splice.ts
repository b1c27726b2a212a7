/** Bytes in, bytes out: the least that a proxy on Node can do. */
import { type AddressInfo, connect, createServer, type OnReadOpts, type Socket } from 'node:net';
import { readSettings } from './settings.ts';

const { app } = readSettings();
// Both directions read into one buffer each connection: what is written from it has left before the next read,
// or reading stops.
const size = 64 * 1024;

const server = createServer({ noDelay: true, pauseOnConnect: true }, (downstream) => {
  let buffer = Buffer.allocUnsafeSlow(size);
  const upstream: Socket = connect({
    port: app,
    host: '127.0.0.1',
    noDelay: true,
    onread: {
      buffer: () => buffer,
      callback: (length: number) => {
        const sent = downstream.write(buffer.subarray(0, length));
        if (downstream.writableLength > 0) buffer = Buffer.allocUnsafeSlow(size);
        return sent;
      },
    } as OnReadOpts,
  });
  downstream.on('data', (chunk) => upstream.write(chunk) || downstream.pause());
  downstream.on('drain', () => upstream.resume());
  upstream.on('drain', () => downstream.resume());
  upstream.on('connect', () => downstream.resume());
  downstream.on('close', () => upstream.destroy());
  upstream.on('close', () => downstream.destroy());
  downstream.on('error', () => {});
  upstream.on('error', () => {});
});
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () =>
  console.log(`ready ${(server.address() as AddressInfo).port}`),
);
