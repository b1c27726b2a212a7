/** A splice that puts every byte that goes up through SHA-256, and does nothing with the result. */
import { createHash } from 'node:crypto';
import { type AddressInfo, connect, createServer } from 'node:net';
import { readSettings } from './settings.ts';

const { app } = readSettings();

const server = createServer(
  { noDelay: true, pauseOnConnect: true, highWaterMark: 256 * 1024 },
  (downstream) => {
    const upstream = connect({ port: app, host: '127.0.0.1', noDelay: true });
    const hash = createHash('sha256');
    downstream.on('data', (chunk) => {
      hash.update(chunk);
      if (!upstream.write(chunk)) downstream.pause();
    });
    upstream.on('data', (chunk) => void downstream.write(chunk));
    upstream.on('drain', () => downstream.resume());
    upstream.on('connect', () => downstream.resume());
    downstream.on('close', () => upstream.destroy());
    upstream.on('close', () => downstream.destroy());
    downstream.on('error', () => {});
    upstream.on('error', () => {});
  },
);
server.listen({ port: 0, host: '127.0.0.1' }, () =>
  console.log(`ready ${(server.address() as AddressInfo).port}`),
);
