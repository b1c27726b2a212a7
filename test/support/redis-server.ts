import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';

/** A port of loopback that was free a moment ago, for programs that cannot choose one themselves. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export interface RedisServer {
  readonly port: number;
  readonly folder: string;
  readonly process: ChildProcess;
}

/**
 * Starts a redis-server of its own on loopback; it ends with the test.
 *
 * @param words more of its configuration, as on its command line; `--port` when given is used
 */
export async function startRedis(
  t: Test,
  words: readonly string[] = [],
  options: { readonly sentinelFile?: string; readonly readyText?: RegExp } = {},
): Promise<RedisServer> {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-redis-'));
  await mkdir(join(folder, 'data'));
  const port = await freePort();
  const common = ['--dir', join(folder, 'data'), '--bind', '127.0.0.1', '--logfile', ''];
  const own = words.includes('--port') ? [] : ['--port', String(port)];
  const args =
    options.sentinelFile === undefined
      ? [...own, ...common, '--save', '', '--appendonly', 'no', ...words]
      : [options.sentinelFile, '--sentinel', ...own, ...common, ...words];
  const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = new Promise((resolve) => child.once('close', resolve));
      child.kill('SIGKILL');
      await ended;
    }
    await rm(folder, { recursive: true, force: true });
  });
  await new Promise<void>((resolve, reject) => {
    let said = '';
    const ready = options.readyText ?? /Ready to accept connections|\+monitor master/;
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (ready.test(said)) resolve();
    });
    child.once('error', reject);
    child.once('close', () => reject(new Error(`redis-server has ended:\n${said}`)));
  });
  return { port: words.includes('--port') ? 0 : port, folder, process: child };
}
