import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Test } from 'tap';
import { modelsFile } from './core-service.ts';
import { freePort } from './redis-server.ts';
import { tempFolder } from './temp-folder.ts';

const main = new URL('../../core/main.ts', import.meta.url).pathname;

/** The core service as a process of its own, so that it can be killed. */
export interface CoreProcess {
  readonly url: string;
  readonly sqlite: string;
  /** The process that runs now. */
  readonly child: ChildProcess;
  start(): Promise<void>;
  /** Ends it and waits until it has; its exit code, or the signal that ended it. */
  end(signal: NodeJS.Signals): Promise<number | string>;
}

export async function startCoreProcess(
  t: Test,
  peers: { readonly outboundPort: number; readonly redisPort?: number },
  /** Flags of node. */
  flags: readonly string[] = [],
): Promise<CoreProcess> {
  const folder = await tempFolder(t);
  const port = await freePort();
  const config = join(folder, 'core.yaml');
  await writeFile(
    config,
    `listen: 127.0.0.1:${port}
redis: { url: "redis://127.0.0.1:${peers.redisPort ?? 1}" }
sqlite: core.db
files: files
outbound: 127.0.0.1:${peers.outboundPort}
models: { file: ${modelsFile} }
timeouts: { drain: 2s }
`,
  );
  let child: ChildProcess | undefined;
  const core: CoreProcess = {
    url: `http://127.0.0.1:${port}`,
    sqlite: join(folder, 'core.db'),
    get child() {
      if (child === undefined) throw new Error('not started yet');
      return child;
    },
    async start() {
      const started = spawn(process.execPath, [...flags, main, '--config', config], {
        stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
      });
      child = started;
      for await (const line of createInterface({ input: started.stdout! })) {
        if (line.includes('"listening"')) {
          started.stdout?.resume();
          return;
        }
      }
      throw new Error('countersign-core ended before it listened');
    },
    async end(signal) {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return 'ended before';
      const exit = once(child, 'exit');
      child.kill(signal);
      const [code, by] = await exit;
      return code ?? by;
    },
  };
  await core.start();
  t.teardown(() => core.end('SIGKILL'));
  return core;
}
