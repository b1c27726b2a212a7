import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { dist, root } from '../../tools/build.ts';
import { Child, type ChildOptions } from './child.ts';
import type { Folder } from './folder.ts';
import { assertFree, type HeldSocket, holdSocket } from './held-socket.ts';
import { consolePort, type LocalService, layout } from './layout.ts';
import { LocalApp } from './local-app.ts';
import { LocalSidecar, type Phase } from './local-sidecar.ts';
import { type LocalRedis, startRedis } from './redis.ts';

export interface LocalFleetOptions {
  readonly folder: Folder;
  readonly basePort: number;
  /** A real model server to use in place of the sample ai-stack, such as `http://127.0.0.1:11434`. */
  readonly ai?: URL | undefined;
  /** Gets a line when an app goes and when it is back; standard error when left out. */
  readonly say?: (line: string) => void;
}

/** What a swap did to one sidecar. */
export interface Swapped {
  readonly service: string;
  readonly phase: Phase;
  /** Between the old binary's SIGTERM and the new one's readiness. */
  readonly ms?: number;
  readonly error?: string;
}

const stopGraceMs = 5_000;

/** The whole fleet on this machine, every part a process of its own. */
export class LocalFleet {
  readonly services: readonly LocalService[];
  /** Settles when something that should run has ended by itself. */
  readonly broken: Promise<Error>;
  readonly #options: LocalFleetOptions;
  readonly #sockets: HeldSocket[] = [];
  readonly #sidecars = new Map<string, LocalSidecar>();
  readonly #apps: LocalApp[] = [];
  #redis: LocalRedis | undefined;
  #console: string | undefined;
  #starting: Promise<void> = Promise.resolve();
  #stopping = false;
  readonly #break: (error: Error) => void;

  constructor(options: LocalFleetOptions) {
    this.#options = options;
    this.services = layout(options.basePort);
    const { promise, resolve } = Promise.withResolvers<Error>();
    this.broken = promise;
    this.#break = resolve;
  }

  /**
   * Starts everything, all sidecars logging. Whatever was started before a failure runs on: call `stop`.
   *
   * @throws {import('./held-socket.ts').PortTakenError | import('./child.ts').ChildError |
   *   import('../../config/load.ts').ConfigError}
   */
  start(): Promise<void> {
    this.#starting = this.#start();
    return this.#starting;
  }

  async #start(): Promise<void> {
    const { folder, basePort, ai } = this.#options;
    await assertFree(consolePort(basePort));
    const places = new Map<LocalService, HeldSocket[]>();
    for (const service of this.services) places.set(service, await this.#hold(service));
    await folder.make();
    await folder.writeFleet(basePort);
    this.#redis = await startRedis(folder.at('redis'), folder.logOf('redis'));
    await this.#makeKeys(this.#redis);
    this.#goOn();

    const [backend, npu, model] = this.services as [LocalService, LocalService, LocalService];
    await folder.writeCore(backend, this.#redis);
    const apps = [this.#startSample('npu-worker', npu.app), this.#startModel(model.app, ai)];
    await Promise.all(apps.map((app) => app.ready()));
    this.#goOn();
    await Promise.all(
      [...places].map(async ([service, sockets]) => {
        await folder.writeSidecar(service);
        await mkdir(folder.at('state', service.name), { recursive: true, mode: 0o700 });
        const { name } = service;
        const place = {
          service: name,
          config: folder.configOf(name),
          log: folder.logOf(`${name}.sidecar`),
          sockets,
        };
        const sidecar = await LocalSidecar.start(place, 'logging');
        this.#sidecars.set(name, sidecar);
        this.#watch(sidecar.serving, sidecar);
      }),
    );
    this.#goOn();
    const core = this.#startApp({
      name: 'countersign-core',
      command: join(dist, 'countersign-core'),
      words: ['--config', folder.at('core.yaml')],
    });
    await core.ready();
    this.#watch(this.#redis.process);
    this.#console = await this.#startConsole();
    await this.#writeUpJson();
  }

  /** The link to the console, with its token; undefined until it is started. */
  get console(): string | undefined {
    return this.#console;
  }

  phaseOf(service: string): Phase | undefined {
    return this.#sidecars.get(service)?.phase;
  }

  /** The apps that run; one that ended by itself is started again. */
  get apps(): readonly LocalApp[] {
    return this.#apps;
  }

  /** The process that serves for a service's sidecar now. */
  sidecarPid(service: string): number | undefined {
    return this.#sidecars.get(service)?.serving.pid;
  }

  /** Swaps every sidecar's binary, one after the other; goes on after a failure and reports it. */
  async swapTo(phase: Phase, report: (swapped: Swapped) => void = () => {}): Promise<Swapped[]> {
    const all: Swapped[] = [];
    for (const { name: service } of this.services) {
      const sidecar = this.#sidecars.get(service);
      if (sidecar === undefined) continue;
      let swapped: Swapped;
      try {
        const ms = await sidecar.swapTo(phase);
        this.#watch(sidecar.serving, sidecar);
        swapped = { service, phase, ms };
      } catch (error) {
        swapped = { service, phase: sidecar.phase, error: (error as Error).message };
      }
      all.push(swapped);
      report(swapped);
    }
    await this.#writeUpJson();
    return all;
  }

  /** Ends everything that was started. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#starting.catch(() => undefined);
    for (const name of ['up.json', 'control.sock', 'console.link'])
      await rm(this.#options.folder.at(name), { force: true });
    await Promise.all([
      ...[...this.#sidecars.values()].map((sidecar) => sidecar.stop()),
      ...this.#apps.map((app) => app.stop()),
    ]);
    await this.#redis?.process.stop(stopGraceMs);
    for (const socket of this.#sockets.splice(0)) socket.close();
  }

  /** Between the steps of a start, so that a stop need not wait for all of it. */
  #goOn(): void {
    if (this.#stopping) throw new Error('stopped while it was starting');
  }

  async #hold(service: LocalService): Promise<HeldSocket[]> {
    await assertFree(service.app);
    const wanted: [string, number][] = [
      ['outbound', service.outbound],
      ['inbound', service.inbound],
      ['admin', service.admin],
      ...[...service.routes.keys()].map((port): [string, number] => ['route', port]),
    ];
    const held: HeldSocket[] = [];
    for (const [name, port] of wanted) {
      const socket = await holdSocket(name, port);
      this.#sockets.push(socket);
      held.push(socket);
    }
    return held;
  }

  /** Root keys and keyrings; what is there from an earlier run stays. */
  async #makeKeys(redis: LocalRedis): Promise<void> {
    const { folder } = this.#options;
    const { name, passwordFile } = redis.users.rotator;
    const registry = ['--redis', redis.url, '--redis-user', name, '--redis-password-file', passwordFile];
    const files = ['--fleet', folder.at('fleet.yaml'), '--out', folder.at('keyrings')];
    const init = new Child({
      name: 'countersign keys init',
      command: join(dist, 'countersign'),
      words: ['keys', 'init', ...registry, ...files],
      log: folder.logOf('keys'),
      milestones: {},
    });
    const reason = await init.ended;
    if (reason !== 0) throw init.endedEarly(reason);
  }

  /** The link stands in a file of this user's, not in a log. */
  async #startConsole(): Promise<string> {
    const { folder, basePort } = this.#options;
    const linkFile = folder.at('console.link');
    const from = this.services.flatMap(({ admin }) => ['--from', `http://127.0.0.1:${admin}`]);
    const files = ['--authorization', folder.files.authorization, '--fleet', folder.at('fleet.yaml')];
    const listen = ['--listen', `127.0.0.1:${consolePort(basePort)}`, '--link-file', linkFile];
    const child = this.#startApp({
      name: 'countersign console',
      command: join(dist, 'countersign'),
      words: ['console', ...from, ...files, ...listen],
      ready: /^console: listening/,
    });
    await child.ready();
    return (await readFile(linkFile, 'utf8')).trim();
  }

  #startModel(port: number, ai: URL | undefined): LocalApp {
    if (ai === undefined) return this.#startSample('ai-stack', port);
    return this.#startSample('ai-relay', port, ['--to', ai.href]);
  }

  #startSample(name: string, port: number, words: readonly string[] = []): LocalApp {
    const script = join(root, `test/samples/${name}.ts`);
    return this.#startApp({
      name,
      command: process.execPath,
      words: [script, '--port', String(port), ...words],
    });
  }

  #startApp({
    ready = /^(ready|listening)$/,
    ...options
  }: Pick<ChildOptions, 'name' | 'command' | 'words'> & { readonly ready?: RegExp }): LocalApp {
    const log = this.#options.folder.logOf(options.name);
    const { say = (line: string) => process.stderr.write(`${line}\n`) } = this.#options;
    const app = new LocalApp({ ...options, log, milestones: { ready } }, say);
    this.#apps.push(app);
    return app;
  }

  /** A sidecar's process may end when another has taken its place. */
  #watch(child: Child, sidecar?: LocalSidecar): void {
    void child.ended.then((reason) => {
      if (this.#stopping || (sidecar !== undefined && sidecar.serving !== child)) return;
      this.#break(child.endedEarly(reason));
    });
  }

  async #writeUpJson(): Promise<void> {
    const address = (port: number) => `127.0.0.1:${port}`;
    const services = this.services.map(({ name, app, outbound, inbound, admin, routes }) => [
      name,
      {
        app: address(app),
        outbound: address(outbound),
        inbound: address(inbound),
        admin: address(admin),
        routes: Object.fromEntries([...routes].map(([port, callee]) => [address(port), callee])),
        phase: this.phaseOf(name),
      },
    ]);
    const redis = this.#redis?.url;
    await this.#options.folder.writeUpJson({
      pid: process.pid,
      redis,
      console: this.#console,
      services: Object.fromEntries(services),
    });
  }
}
