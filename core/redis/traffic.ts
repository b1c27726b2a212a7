import type { Socket } from 'node:net';
import { Cluster, type Redis } from 'ioredis';
import type { RedisClient } from './connect.ts';

/** Counts the bytes that clients' sockets have read and written, over all their reconnections. */
export class Traffic {
  readonly #sockets = new Set<Socket>();
  #read = 0;
  #written = 0;

  watch(client: RedisClient): void {
    if (client instanceof Cluster) client.on('+node', (node: Redis) => this.#watchNode(node));
    else this.#watchNode(client);
  }

  get bytesRead(): number {
    return [...this.#sockets].reduce((sum, socket) => sum + socket.bytesRead, this.#read);
  }

  get bytesWritten(): number {
    return [...this.#sockets].reduce((sum, socket) => sum + socket.bytesWritten, this.#written);
  }

  #watchNode(node: Redis): void {
    node.on('connect', () => {
      const socket = node.stream as Socket;
      this.#sockets.add(socket);
      socket.once('close', () => {
        this.#sockets.delete(socket);
        this.#read += socket.bytesRead;
        this.#written += socket.bytesWritten;
      });
    });
  }
}
