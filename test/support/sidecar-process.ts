import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import type { Server } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Test } from 'tap';
import { leaveSettledState } from '../../tools/settled-state.ts';
import { fleetOf, fleetYaml, keyringsOf } from './keyrings.ts';

export { freePorts } from './free-ports.ts';

export type Phase = 'logging' | 'enforcing';

export interface SidecarOptions {
  readonly phase: Phase;
  readonly folder: string;
  readonly service: string;
  readonly ports: { readonly outbound: number; readonly inbound: number; readonly admin: number };
  readonly app: number;
  /** Where inbound listens, 127.0.0.1 unless told. */
  readonly host?: string;
  /** Lines of `routes`, `listener: callee`. */
  readonly routes?: Readonly<Record<string, string>>;
  /** Further lines of sidecar.yaml, such as `limits: { connections: 5 }`. */
  readonly further?: string;
  /** What lies in a state directory that does not exist yet: that of an orderly stop (default), or nothing. */
  readonly state?: 'settled' | 'nothing';
  readonly env?: Readonly<Record<string, string>>;
  /** Listening sockets to pass on, by name; their order is that of the descriptors. */
  readonly sockets?: readonly { readonly name: string; readonly server: Server }[];
}

/** A built sidecar binary as a process. */
export class SidecarProcess {
  readonly child: ChildProcess;
  readonly log: Record<string, unknown>[] = [];
  stderr = '';
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  readonly #waiting: { test: (line: Record<string, unknown>) => boolean; resolve: () => void }[] = [];

  constructor(child: ChildProcess) {
    this.child = child;
    this.exited = new Promise((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
    createInterface({ input: child.stdout! }).on('line', (text) => {
      const line = JSON.parse(text) as Record<string, unknown>;
      this.log.push(line);
      for (const one of [...this.#waiting]) {
        if (!one.test(line)) continue;
        this.#waiting.splice(this.#waiting.indexOf(one), 1);
        one.resolve();
      }
    });
    child.stderr!.on('data', (text) => {
      this.stderr += String(text);
    });
  }

  /** Resolves when a line of the log has this message, be it an old one. */
  said(message: string): Promise<void> {
    const test = (line: Record<string, unknown>) => line.msg === message;
    if (this.log.some(test)) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ test, resolve });
      void this.exited.then(({ code }) =>
        reject(new Error(`exited with ${code} before "${message}": ${this.stderr}`)),
      );
    });
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.child.kill(signal);
    return (await this.exited).code;
  }
}

/** Writes sidecar.yaml and starts the built binary on it; resolves once it is ready. */
export async function startSidecar(t: Test, options: SidecarOptions): Promise<SidecarProcess> {
  const sidecar = await launchSidecar(t, options);
  await sidecar.said('ready');
  return sidecar;
}

/** As `startSidecar`, without waiting. */
export async function launchSidecar(t: Test, options: SidecarOptions): Promise<SidecarProcess> {
  const { folder, service, ports, app, phase } = options;
  await mkdir(folder, { recursive: true });
  const file = join(folder, 'sidecar.yaml');
  const state = join(folder, 'state');
  if (options.state !== 'nothing' && !existsSync(state)) await leaveSettledState(state);
  const routes = Object.entries(options.routes ?? {}).map(([listen, callee]) => `"${listen}": ${callee}`);
  await writeFile(
    file,
    `service: ${service}
outbound: { listen: 127.0.0.1:${ports.outbound}, routes: { ${routes.join(', ')} } }
inbound: { listen: ${options.host ?? '127.0.0.1'}:${ports.inbound}, app: 127.0.0.1:${app} }
admin: { listen: 127.0.0.1:${ports.admin} }
fleet: ../fleet.yaml
authorization: ../authorization.yaml
keyring: keyring.json
state: state
${options.further ?? ''}
`,
  );
  const binary = join(import.meta.dirname, `../../dist/countersign-${phase}`);
  const sockets = options.sockets ?? [];
  const fds = sockets.map(({ server }) => (server as unknown as { _handle: { fd: number } })._handle.fd);
  const child =
    sockets.length === 0
      ? spawn(binary, ['--config', file], {
          stdio: ['ignore', 'pipe', 'pipe'],
          env: { PATH: process.env.PATH, ...options.env },
        })
      : spawn('sh', ['-c', 'LISTEN_PID=$$ exec "$0" "$@"', binary, '--config', file], {
          stdio: ['ignore', 'pipe', 'pipe', ...fds],
          env: {
            PATH: process.env.PATH,
            ...options.env,
            LISTEN_FDS: String(sockets.length),
            LISTEN_FDNAMES: sockets.map(({ name }) => name).join(':'),
          },
        });
  const sidecar = new SidecarProcess(child);
  t.teardown(() => sidecar.stop('SIGKILL'));
  return sidecar;
}

/**
 * Writes fleet.yaml, authorization.yaml and the keyrings of a fleet on loopback into a folder: one folder a service.
 *
 * @param services by name: its host, inbound port and app port; one without ports only calls
 * @param further lines of fleet.yaml
 */
export async function writeFleet(
  folder: string,
  services: Readonly<
    Record<string, { readonly host?: string; readonly inbound?: number; readonly app?: number }>
  >,
  authorization: string,
  further = '',
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const hosts = Object.fromEntries(
    Object.entries(services).map(([name, { host }]) => [name, [host ?? '127.0.0.1']]),
  );
  const fleet = fleetOf(hosts);
  const lines = Object.entries(services).map(
    ([name, { host, inbound, app }]) =>
      `  ${name}: { hosts: [${host ?? '127.0.0.1'}]${inbound === undefined ? '' : `, inbound: ${inbound}, app: ${app}`} }`,
  );
  await writeFile(join(folder, 'fleet.yaml'), `services:\n${lines.join('\n')}\n${further}`);
  await writeFile(join(folder, 'authorization.yaml'), authorization);
  for (const keyring of keyringsOf(fleet).values()) {
    await mkdir(join(folder, keyring.service), { recursive: true });
    await writeFile(join(folder, keyring.service, 'keyring.json'), JSON.stringify(keyring), { mode: 0o600 });
  }
  void fleetYaml;
}
