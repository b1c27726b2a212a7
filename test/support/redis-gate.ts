import type { AddressInfo } from 'node:net';
import { connect, createServer, type Socket } from 'node:net';
import type { Test } from 'tap';

/**
 * A gate between a client and Redis that counts the writes which pass, and can do something at one of them:
 * after Redis has carried it out, before the client hears of it.
 */
export class RedisGate {
  readonly port: number;
  writes = 0;
  /** Number of the write at which `strike` is called; 0 for never. */
  strikeAt = 0;
  strike: () => void = () => {};

  private constructor(port: number) {
    this.port = port;
  }

  static async open(t: Test, redisPort: number): Promise<RedisGate> {
    const sockets = new Set<Socket>();
    const server = createServer((client) => {
      const redis = connect(redisPort, '127.0.0.1');
      sockets.add(client).add(redis);
      let struck = false;
      client.on('data', (chunk) => {
        const writes = chunk.toString('latin1').match(/\r\n(eval|del)\r\n/gi)?.length ?? 0;
        for (let i = 0; i < writes; i++) struck ||= ++gate.writes === gate.strikeAt;
        redis.write(chunk);
      });
      redis.on('data', (chunk) => {
        if (struck) gate.strike();
        else client.write(chunk);
      });
      client.on('close', () => redis.destroy()).on('error', () => {});
      redis.on('close', () => client.destroy()).on('error', () => {});
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const gate = new RedisGate((server.address() as AddressInfo).port);
    t.teardown(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    return gate;
  }
}
