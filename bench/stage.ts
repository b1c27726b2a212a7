import { spawnSync } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { unstableMissing } from './debian.ts';
import { raiseDescriptors } from './descriptors.ts';
import { Generators } from './load/generators.ts';
import type { Identity } from './load/signer.ts';
import { benchIdentity } from './peers/fleet.ts';
import type { Peer, Place, RunningPeer } from './peers/peer.ts';
import { removeFolder, type Started, start, temporaryFolder } from './processes.ts';

/** Which cores do what: the measured process has one to itself. */
export interface Cores {
  readonly measured: string | undefined;
  readonly others: string | undefined;
  readonly generators: number;
}

export function coresOf(count: number): Cores {
  if (count < 2 || spawnSync('taskset', ['--version']).status !== 0)
    return { measured: undefined, others: undefined, generators: 1 };
  return {
    measured: '0',
    others: count === 2 ? '1' : `1-${count - 1}`,
    generators: Math.max(1, Math.min(4, count - 2)),
  };
}

/** The app, the load generators and a folder: what every subject plays on. */
export class Stage {
  readonly cores: Cores;
  readonly identity: Identity = benchIdentity();
  readonly generators: Generators;
  readonly app: number;
  readonly #upstream: Started;
  readonly #folder: string;
  #places = 0;

  private constructor(cores: Cores, upstream: Started, folder: string) {
    this.cores = cores;
    this.#upstream = upstream;
    this.app = Number(upstream.said.slice('ready '.length));
    this.#folder = folder;
    this.generators = new Generators(cores.generators, cores.others);
  }

  static async open(): Promise<Stage> {
    raiseDescriptors();
    const cores = coresOf(availableParallelism());
    // What this process does itself must not take from the measured one.
    if (cores.others !== undefined)
      spawnSync('taskset', ['--all-tasks', '--cpu-list', '--pid', cores.others, String(process.pid)]);
    const upstream = await start(process.execPath, [join(import.meta.dirname, 'load/upstream.ts')], {
      cores: cores.others,
      ready: (line) => line.startsWith('ready '),
    });
    return new Stage(cores, upstream, await temporaryFolder());
  }

  get upstreamPid(): number {
    return this.#upstream.pid;
  }

  /** A place for one peer: a folder of its own, and the cores of the measured process unless others are named. */
  async place(cores = this.cores.measured): Promise<Place> {
    const folder = join(this.#folder, String(this.#places++));
    await mkdir(folder);
    return { folder, app: this.app, cores, identity: this.identity };
  }

  async start(peer: Peer, cores?: string): Promise<RunningPeer> {
    return peer.start(await this.place(cores));
  }

  async close(): Promise<void> {
    this.generators.stop();
    await this.#upstream.stop();
    removeFolder(this.#folder);
  }
}

/** Why a peer cannot be started here, after an attempt to get what it needs; undefined when it can. */
export function missing(peer: Peer): string | undefined {
  if (peer.unstable !== true) return undefined;
  const failed = unstableMissing();
  return failed === undefined ? undefined : `not fetched: ${failed}`;
}
