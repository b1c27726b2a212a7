import { mkdir, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { stringify } from 'yaml';
import { loadFleet } from '../config/fleet.ts';
import { replaceFile } from '../files/replace-file.ts';
import { appPort, inboundPort, type LocalService, layout } from './layout.ts';
import { type LocalFiles, projectFiles } from './project-files.ts';
import type { LocalRedis } from './redis.ts';

/** `.countersign/`: everything that a local fleet writes. */
export class Folder {
  readonly path: string;
  /** What the fleet in it runs with. */
  readonly files: LocalFiles;

  constructor(path: string, files: LocalFiles = projectFiles) {
    this.path = path;
    this.files = files;
  }

  at(...names: readonly string[]): string {
    return join(this.path, ...names);
  }

  logOf(name: string): string {
    return this.at('logs', `${name}.log`);
  }

  configOf(name: string): string {
    return this.at(`${name}.yaml`);
  }

  keyringOf(name: string): string {
    return this.at('keyrings', `${name}@127.0.0.1.json`);
  }

  /** Where `npm run phase` reaches this fleet. Relative to the current folder, for a socket's path is short. */
  get control(): string {
    return relative(process.cwd(), this.at('control.sock'));
  }

  async make(): Promise<void> {
    for (const name of ['', 'logs', 'core']) await mkdir(this.at(name), { recursive: true, mode: 0o700 });
  }

  /**
   * fleet.yaml with every host on loopback. Services of its fleet that do not run here stay in it, so
   * that the project's matrix holds for the local fleet as it is.
   *
   * @throws {import('../../config/load.ts').ConfigError}
   */
  async writeFleet(basePort: number): Promise<void> {
    const { services } = await loadFleet(this.files.fleet);
    const here = layout(basePort).map((service) => service.name);
    const names = [...here, ...[...services.keys()].filter((name) => !here.includes(name))];
    const entries = names.map((name, index) => [
      name,
      { hosts: ['127.0.0.1'], inbound: inboundPort(basePort, index), app: appPort(basePort, index) },
    ]);
    await this.#write('fleet.yaml', { services: Object.fromEntries(entries) });
  }

  async writeSidecar(service: LocalService): Promise<void> {
    const routes = [...service.routes].map(([port, callee]) => [`127.0.0.1:${port}`, callee]);
    await this.#write(`${service.name}.yaml`, {
      service: service.name,
      outbound: { listen: `127.0.0.1:${service.outbound}`, routes: Object.fromEntries(routes) },
      inbound: { listen: `127.0.0.1:${service.inbound}`, app: `127.0.0.1:${service.app}` },
      admin: { listen: `127.0.0.1:${service.admin}` },
      fleet: 'fleet.yaml',
      authorization: relative(this.path, this.files.authorization),
      keyring: relative(this.path, this.keyringOf(service.name)),
      state: `state/${service.name}`,
      // The whole fleet shares the cores of one machine: a handshake that is late there is no interference.
      timeouts: { connect: '10s' },
    });
  }

  async writeCore(service: LocalService, redis: LocalRedis): Promise<void> {
    await this.#write('core.yaml', {
      listen: `127.0.0.1:${service.app}`,
      redis: {
        url: redis.url,
        username: redis.users.core.name,
        password_file: relative(this.path, redis.users.core.passwordFile),
      },
      sqlite: 'core/core.db',
      files: 'core/files',
      outbound: `127.0.0.1:${service.outbound}`,
      models: { file: relative(this.path, this.files.models), service: 'ai-stack' },
    });
  }

  /** Replaced whole, so that a reader never sees half of it; for this user alone, since the console's token is in it. */
  async writeUpJson(value: object): Promise<void> {
    await replaceFile(this.at('up.json'), `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  }

  async #write(name: string, value: object): Promise<void> {
    await writeFile(this.at(name), `# Written by npm run up at every start.\n${stringify(value)}`, {
      mode: 0o600,
    });
  }
}
