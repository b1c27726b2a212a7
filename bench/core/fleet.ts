import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { programs } from '../../tools/programs.ts';
import { endWithUs, removeFolder, temporaryFolder } from '../processes.ts';

const fromHere = (path: string) => new URL(path, import.meta.url).pathname;

/** The flags of Node that the executable has. */
const flags = programs.find(({ name }) => name === 'countersign-core')?.execArgv ?? [];

/** The core service with its peers, each a process of its own on loopback: a model server and a redis-server. */
export interface CoreFleet {
  readonly coreUrl: string;
  readonly modelUrl: string;
  readonly redisPort: number;
  readonly sqlite: string;
  readonly corePid: number;
  /** Starts a relay to the model, a process of its own (relays.ts). */
  relay(kind: string): Promise<{ readonly url: string; readonly pid: number }>;
  /** One value of the core's /metrics, the sum over its labels. */
  metric(name: string, labels?: string): Promise<number>;
  stop(): Promise<void>;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Starts a process and waits for a line of its output. */
async function start(
  children: ChildProcess[],
  command: string,
  args: readonly string[],
  ready: RegExp,
): Promise<{ readonly match: RegExpExecArray; readonly pid: number }> {
  const child = endWithUs(spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] }));
  children.push(child);
  for await (const line of createInterface({ input: child.stdout })) {
    const match = ready.exec(line);
    if (match === null) continue;
    child.stdout.resume();
    return { match, pid: child.pid as number };
  }
  throw new Error(`${command} ended before it was ready`);
}

/** @param fill makes rows in the database before the service starts */
export async function startFleet(fill?: (sqlite: string) => Promise<void>): Promise<CoreFleet> {
  const folder = await temporaryFolder();
  const children: ChildProcess[] = [];
  const [corePort, redisPort] = [await freePort(), await freePort()];
  const sqlite = join(folder, 'core.db');
  await fill?.(sqlite);
  await start(
    children,
    'redis-server',
    ['--port', String(redisPort), '--bind', '127.0.0.1', '--save', '', '--dir', folder],
    /Ready to accept/,
  );
  const {
    match: [, modelPort],
  } = await start(children, process.execPath, [fromHere('model.ts')], /^port (\d+)/);
  const config = join(folder, 'core.yaml');
  await writeFile(
    config,
    `listen: 127.0.0.1:${corePort}
redis: { url: "redis://127.0.0.1:${redisPort}" }
sqlite: core.db
files: files
outbound: 127.0.0.1:${modelPort}
models: { file: ${fromHere('../../config/llm_models.yaml')} }
`,
  );
  const core = await start(
    children,
    process.execPath,
    [...flags, fromHere('../../core/main.ts'), '--config', config],
    /"listening"/,
  );
  const coreUrl = `http://127.0.0.1:${corePort}`;
  return {
    coreUrl,
    modelUrl: `http://127.0.0.1:${modelPort}`,
    redisPort,
    sqlite,
    corePid: core.pid,
    async relay(kind) {
      const args = [fromHere('relays.ts'), kind, `http://127.0.0.1:${modelPort}`];
      const { match, pid } = await start(children, process.execPath, args, /^port (\d+)/);
      return { url: `http://127.0.0.1:${match[1]}`, pid };
    },
    async metric(name, labels = '') {
      const text = await (await fetch(`${coreUrl}/metrics`)).text();
      return text
        .split('\n')
        .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
        .filter((line) => line.includes(labels))
        .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
    },
    async stop() {
      for (const child of children.reverse()) {
        if (child.exitCode !== null || child.signalCode !== null) continue;
        const exit = once(child, 'exit');
        child.kill('SIGTERM');
        await exit;
      }
      removeFolder(folder);
    },
  };
}

/** One chat request; resolves, with the whole body, at its end. */
export async function chat(url: string, content: string, session?: string, stream = false): Promise<string> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(session === undefined ? {} : { 'x-session-id': session }),
    },
    body: JSON.stringify({
      model: 'qwen2.5-coder-7b-instruct',
      stream,
      messages: [{ role: 'user', content }],
    }),
  });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${response.status}: ${text}`);
  return text;
}

/** The value below which a share of the numbers lies. */
export function percentile(numbers: readonly number[], share: number): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
