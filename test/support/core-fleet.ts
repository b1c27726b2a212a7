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

/** One core service among several that share a database. */
export interface FleetCore {
  readonly url: string;
  readonly child: ChildProcess;
  /** One turn, not streamed. */
  say(session: string, text: string, headers?: Record<string, string>): Promise<Response>;
  stream(session: string, text: string, headers?: Record<string, string>): Promise<Response>;
  messages(session: string): Promise<{ content: string; state: string; role: string }[]>;
  end(signal: NodeJS.Signals): Promise<void>;
}

export interface FleetOptions {
  /** Lines of core.yaml that say where things are kept: `sqlite` or `postgres`, and `files`. */
  readonly storage: string;
  readonly outboundPort: number;
  readonly redisPort?: number;
  /** Lines of `timeouts`. */
  readonly timeouts?: string;
  /** Default: a free port of 127.0.0.1. */
  readonly listen?: { readonly host: string; readonly port: number };
  /** Further lines of core.yaml. */
  readonly further?: string;
}

/** Starts a core service as a process of its own; it is killed with the test. */
export async function startFleetCore(t: Test, options: FleetOptions): Promise<FleetCore> {
  const folder = await tempFolder(t);
  const { host, port } = options.listen ?? { host: '127.0.0.1', port: await freePort() };
  const config = join(folder, 'core.yaml');
  await writeFile(
    config,
    `listen: ${host}:${port}
redis: { url: "redis://127.0.0.1:${options.redisPort ?? 1}" }
${options.storage}
outbound: 127.0.0.1:${options.outboundPort}
models: { file: ${modelsFile} }
timeouts: { drain: 2s${options.timeouts === undefined ? '' : `, ${options.timeouts}`} }
${options.further ?? ''}
`,
  );
  const child = spawn(process.execPath, [main, '--config', config], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  const url = `http://${host}:${port}`;
  const ask = (session: string, content: string, more: object, headers: Record<string, string>) =>
    fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-session-id': session, ...headers },
      body: JSON.stringify({ messages: [{ role: 'user', content }], ...more }),
    });
  await listening(child);
  return {
    url,
    child,
    say: (session, text, headers = {}) => ask(session, text, {}, headers),
    stream: (session, text, headers = {}) => ask(session, text, { stream: true }, headers),
    async messages(session) {
      const response = await fetch(`${url}/api/chats/${session}/messages?limit=200`);
      if (response.status === 404) return [];
      return ((await response.json()) as { messages: { content: string; state: string; role: string }[] })
        .messages;
    },
    async end(signal) {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exit = once(child, 'exit');
      child.kill(signal);
      await exit;
    },
  };
}

async function listening(child: ChildProcess): Promise<void> {
  for await (const line of createInterface({ input: child.stdout! })) {
    if (!line.includes('"listening"')) continue;
    child.stdout?.resume();
    return;
  }
  throw new Error('countersign-core ended before it listened');
}

/** Waits for something that another process brings about. */
export async function until(condition: () => Promise<boolean>, withinMs = 60_000): Promise<void> {
  for (const deadline = performance.now() + withinMs; !(await condition()); ) {
    if (performance.now() > deadline) throw new Error('it never came');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
