import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import type { Test } from 'tap';
import { tempFolder } from './temp-folder.ts';

/** A port of the loopback interface that nothing listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** A real redis-server of a test's own. */
export interface RedisServer {
  readonly port: number;
  /** Starts it again, on the same port, after it was stopped or killed. */
  start(): Promise<void>;
  signal(signal: NodeJS.Signals): void;
  /** Ends it and waits until it has. */
  end(signal: NodeJS.Signals): Promise<void>;
}

/** Starts a redis-server and waits until it serves; it is ended with the test. */
export async function startRedis(
  t: Test,
  args: readonly string[] = [],
  port?: number,
  ready: RegExp = /Ready to accept connections/,
): Promise<RedisServer> {
  const folder = await tempFolder(t);
  const chosen = port ?? (await freePort());
  let child: ChildProcess | undefined;
  const server: RedisServer = {
    port: chosen,
    async start() {
      const common = ['--bind', '127.0.0.1', '--dir', folder, '--save', ''];
      child = spawn('redis-server', [...args, '--port', String(chosen), ...common], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const said: string[] = [];
      for await (const line of createInterface({ input: child.stdout! })) {
        said.push(line);
        if (ready.test(line)) break;
      }
      if (!ready.test(said.at(-1) ?? '')) throw new Error(`redis-server did not start: ${said.join('\n')}`);
      child.stdout?.resume();
    },
    signal(signal) {
      child?.kill(signal);
    },
    async end(signal) {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
      const exit = once(child, 'exit');
      child.kill(signal);
      await exit;
    },
  };
  await server.start();
  t.teardown(() => server.end('SIGKILL'));
  return server;
}
