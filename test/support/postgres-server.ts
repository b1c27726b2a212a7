import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import type { Test } from 'tap';
import type { DatabaseOptions } from '../../core/database/open-database.ts';
import { freePort } from './redis-server.ts';

const run = promisify(execFile);
const user = 'countersign';
const readyWithinMs = 60_000;

/** A PostgreSQL server of Debian's package, of its own, which a test may kill, stop and start again. */
export class PostgresServer {
  readonly folder: string;
  readonly port: number;
  #process: ChildProcess | undefined;
  readonly #bin: string;

  private constructor(bin: string, folder: string, port: number) {
    this.#bin = bin;
    this.folder = folder;
    this.port = port;
  }

  /** @param settings of postgresql.conf */
  static async start(t: Test, settings: Readonly<Record<string, string>> = {}): Promise<PostgresServer> {
    const server = await PostgresServer.prepare(t);
    await runAs(join(server.#bin, 'initdb'), [
      ...['-D', server.data, '-U', user, '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', '--no-sync'],
    ]);
    await server.configure(settings);
    await server.run();
    return server;
  }

  /** A replica of another server, which streams from it. */
  static async replicate(t: Test, primary: PostgresServer, name: string): Promise<PostgresServer> {
    const server = await PostgresServer.prepare(t);
    await runAs(join(server.#bin, 'pg_basebackup'), [
      ...['-h', '127.0.0.1', '-p', String(primary.port), '-U', user, '-D', server.data, '-R', '-X', 'stream'],
      ...['-d', `host=127.0.0.1 port=${primary.port} user=${user} application_name=${name}`, '-c', 'fast'],
    ]);
    await server.run();
    return server;
  }

  private static async prepare(t: Test): Promise<PostgresServer> {
    const folder = await mkdtemp(join(tmpdir(), 'countersign-postgres-'));
    if (userInfo().uid === 0) {
      const [uid = '', gid = ''] = (await run('sh', ['-c', 'id -u postgres; id -g postgres'])).stdout.split(
        '\n',
      );
      await chown(folder, Number(uid), Number(gid));
    }
    const [version] = (await readdir('/usr/lib/postgresql')).sort((a, b) => Number(b) - Number(a));
    const server = new PostgresServer(`/usr/lib/postgresql/${version}/bin`, folder, await freePort());
    t.teardown(async () => {
      await server.kill('SIGKILL');
      await rm(folder, { recursive: true, force: true });
    });
    return server;
  }

  get data(): string {
    return join(this.folder, 'data');
  }

  get process(): ChildProcess {
    if (this.#process === undefined) throw new Error('the server does not run');
    return this.#process;
  }

  /** Starts the server on its folder, and waits until it answers. */
  async run(): Promise<void> {
    const [program, args] = asPostgres(join(this.#bin, 'postgres'), [
      ...['-D', this.data, '-p', String(this.port), '-k', this.folder, '-h', '127.0.0.1'],
    ]);
    this.#process = spawn(program, args, { stdio: 'ignore' });
    for (const deadline = performance.now() + readyWithinMs; ; ) {
      try {
        await this.query('SELECT 1');
        return;
      } catch (error) {
        if (performance.now() > deadline) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  async configure(settings: Readonly<Record<string, string>>): Promise<void> {
    const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value}'\n`);
    await writeFile(join(this.data, 'postgresql.auto.conf'), lines.join(''));
  }

  /** Ends the server with all its processes, as a signal to each of them or a loss of power does. */
  async kill(signal: 'SIGKILL' | 'SIGINT' | 'SIGQUIT'): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    if (signal === 'SIGKILL') await this.signal(signal);
    else child.kill(signal);
    await exit;
    this.#process = undefined;
  }

  /** Sends a signal to the server and to each of its processes. */
  async signal(signal: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): Promise<void> {
    const parent = this.process.pid as number;
    const children = await run('pgrep', ['-P', String(parent)]).then(
      ({ stdout }) => stdout.split('\n').filter(Boolean).map(Number),
      () => [],
    );
    for (const pid of [parent, ...children]) {
      try {
        process.kill(pid, signal);
      } catch {
        // It has ended in the meantime.
      }
    }
  }

  async promote(): Promise<void> {
    await this.query('SELECT pg_promote(true, 60)');
  }

  async createDatabase(name: string): Promise<void> {
    await this.query(`CREATE DATABASE ${name}`);
  }

  async query<Row>(text: string, database = 'postgres'): Promise<Row[]> {
    const client = new Client({ host: '127.0.0.1', port: this.port, user, database });
    client.on('error', () => undefined);
    await client.connect();
    try {
      return (await client.query(text)).rows as Row[];
    } finally {
      await client.end();
    }
  }

  url(database = 'postgres', ...others: readonly PostgresServer[]): string {
    const hosts = [this, ...others].map(({ port }) => `127.0.0.1:${port}`);
    return `postgres://${user}@${hosts.join(',')}/${database}`;
  }

  options(database = 'postgres', timeoutMs = 10_000): DatabaseOptions {
    return {
      postgres: {
        servers: { hosts: [{ host: '127.0.0.1', port: this.port }], database, user },
        pool: 5,
        timeoutMs,
        slowReadMs: 60_000,
        onError: () => undefined,
      },
    };
  }
}

/** PostgreSQL refuses to run as root. */
function asPostgres(program: string, args: readonly string[]): [string, string[]] {
  if (userInfo().uid !== 0) return [program, [...args]];
  return ['setpriv', ['--reuid=postgres', '--regid=postgres', '--clear-groups', program, ...args]];
}

async function runAs(program: string, args: readonly string[]): Promise<void> {
  await run(...asPostgres(program, args), { cwd: '/' });
}
