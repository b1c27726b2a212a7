import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { programs } from '../../tools/programs.ts';
import { cpuTime, endWithUs, freePort, removeFolder, temporaryFolder } from '../processes.ts';
import { fillPostgres, fillSqlite } from './filled-chats.ts';
import { preparePostgres } from './postgres.ts';

const fromHere = (path: string) => new URL(path, import.meta.url).pathname;

/** The flags of Node that the executable has. */
const flags = programs.find(({ name }) => name === 'countersign-core')?.execArgv ?? [];

export type Engine = 'sqlite' | 'postgres';

export interface FleetOptions {
  /** sqlite when left out. */
  readonly engine?: Engine;
  /** Core services that share the database; 1 when left out, which is all that SQLite can have. */
  readonly cores?: number;
  /** Chats of so many messages that are there before; each is named `length-N`. */
  readonly lengths?: readonly number[];
  /** Whether PostgreSQL waits for the disk at each commit; else the disk is not what limits it. True when left out. */
  readonly fsync?: boolean;
}

/** One core service. */
export interface RunningCore {
  readonly url: string;
  readonly pid: number;
}

/** The core service with its peers, each a process of its own on loopback: a model server, Redis, perhaps PostgreSQL. */
export interface CoreFleet {
  readonly cores: readonly RunningCore[];
  /** The first of them. */
  readonly coreUrl: string;
  readonly corePid: number;
  readonly modelUrl: string;
  readonly redisPort: number;
  /** Starts a relay to the model, a process of its own (relays.ts). */
  relay(kind: string): Promise<RunningCore>;
  /** One value of the first core's /metrics, the sum over its labels. */
  metric(name: string, labels?: string): Promise<number>;
  stop(): Promise<void>;
}

/** Starts a process and waits for a line of its output. */
async function start(
  children: ChildProcess[],
  command: string,
  args: readonly string[],
  ready: RegExp,
): Promise<{ readonly match: RegExpExecArray; readonly pid: number }> {
  const child = endWithUs(spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] }));
  children.push(child);
  let said = '';
  const seen = new Promise<RegExpExecArray>((resolve, reject) => {
    for (const stream of [child.stdout!, child.stderr!])
      createInterface({ input: stream }).on('line', (line) => {
        if (said.length < 100_000) said += `${line}\n`;
        const match = ready.exec(line);
        if (match !== null) resolve(match);
      });
    child.once('error', reject);
    child.once('exit', () => reject(new Error(`${command} ended before it was ready: ${said.slice(-2000)}`)));
  });
  return { match: await seen, pid: child.pid as number };
}

export async function startFleet({
  engine = 'sqlite',
  cores = 1,
  lengths = [],
  fsync = true,
}: FleetOptions = {}): Promise<CoreFleet> {
  const folder = await temporaryFolder();
  // PostgreSQL's own user has to reach its part of it.
  await chmod(folder, 0o711);
  const children: ChildProcess[] = [];
  const stop = async () => {
    for (const child of children.reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const exit = once(child, 'exit');
      // PostgreSQL waits at SIGTERM for its clients to leave.
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
      await exit;
      clearTimeout(timer);
    }
    removeFolder(folder);
  };
  try {
    const database = await startDatabase(children, folder, { engine, lengths, fsync });
    const redisPort = await freePort();
    await start(
      children,
      'redis-server',
      ['--port', String(redisPort), '--bind', '127.0.0.1', '--save', '', '--dir', folder],
      /Ready to accept/,
    );
    const {
      match: [, modelPort],
    } = await start(children, process.execPath, [fromHere('model.ts')], /^port (\d+)/);
    const running: RunningCore[] = [];
    for (let i = 0; i < cores; i++) {
      const port = await freePort();
      const config = join(folder, `core-${i}.yaml`);
      await writeFile(
        config,
        `listen: 127.0.0.1:${port}
redis: { url: "redis://127.0.0.1:${redisPort}" }
${database}
outbound: 127.0.0.1:${modelPort}
models: { file: ${fromHere('../../config/llm_models.yaml')} }
`,
      );
      const args = [...flags, fromHere('../../core/main.ts'), '--config', config];
      const { pid } = await start(children, process.execPath, args, /"listening"/);
      running.push({ url: `http://127.0.0.1:${port}`, pid });
    }
    const [first] = running as [RunningCore];
    return {
      cores: running,
      coreUrl: first.url,
      corePid: first.pid,
      modelUrl: `http://127.0.0.1:${modelPort}`,
      redisPort,
      async relay(kind) {
        const args = [fromHere('relays.ts'), kind, `http://127.0.0.1:${modelPort}`];
        const { match, pid } = await start(children, process.execPath, args, /^port (\d+)/);
        return { url: `http://127.0.0.1:${match[1]}`, pid };
      },
      async metric(name, labels = '') {
        const text = await (await fetch(`${first.url}/metrics`)).text();
        return text
          .split('\n')
          .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
          .filter((line) => line.includes(labels))
          .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The lines of core.yaml that name it; with the chats that were asked for in it. */
async function startDatabase(
  children: ChildProcess[],
  folder: string,
  { engine, lengths, fsync }: Required<Pick<FleetOptions, 'engine' | 'lengths' | 'fsync'>>,
): Promise<string> {
  if (engine === 'sqlite') {
    if (lengths.length > 0) await fillSqlite(join(folder, 'core.db'), lengths);
    return 'sqlite: core.db\nfiles: files';
  }
  const { command, args, url } = await preparePostgres(folder, await freePort());
  await start(children, command, fsync ? args : [...args, '-F'], /ready to accept connections/);
  if (lengths.length > 0) await fillPostgres(url, lengths);
  return `postgres: { url: "${url}" }`;
}

/** Milliseconds of CPU that a core has used so far. */
export function cpuMs(...pids: readonly number[]): number {
  const { user, system } = cpuTime(pids);
  return (user + system) / 1000;
}

export interface ChatOptions {
  readonly session?: string | undefined;
  readonly stream?: boolean;
  /** The calling service, as its sidecar would prove it. */
  readonly caller?: string;
}

/** One chat request; resolves, with the whole body, at its end. */
export async function chat(
  url: string,
  content: string,
  { session, stream = false, caller }: ChatOptions = {},
): Promise<string> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(session === undefined ? {} : { 'x-session-id': session }),
      ...(caller === undefined ? {} : { 'x-service-id': caller }),
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
